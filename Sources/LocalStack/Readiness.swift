/// Waits until a server serves.
enum Readiness {
    /// - Throws: ``LocalStackError`` with the log's last lines, when it ends first or is not ready within 30 s.
    static func wait(
        for process: LocalProcess,
        called name: String,
        log: String,
        until isReady: () -> Bool
    ) async throws {
        let deadline = ContinuousClock.now + .seconds(30)
        while !isReady() {
            guard process.isRunning, ContinuousClock.now < deadline else {
                let what = process.isRunning ? "was not ready within 30 s" : "ended at its start"
                await process.end(with: 9)
                throw LocalStackError(
                    code: .notReady,
                    description: "\(name) \(what); the end of \(log): \(LogFile.end(of: log))"
                )
            }
            try await Task.sleep(for: .milliseconds(10))
        }
    }
}
