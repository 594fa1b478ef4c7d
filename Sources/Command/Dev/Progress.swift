import Foundation

/// Says on standard error what a long start is doing, each step with the time that it took.
struct Progress: Sendable {
    let isQuiet: Bool

    /// - Parameters:
    ///   - what: What is done.
    ///   - logs: Whether others write meanwhile, so that its line ends at once.
    ///   - body: Does it.
    /// - Returns: What `body` returns.
    /// - Throws: What `body` throws.
    func step<Value>(_ what: String, logs: Bool = false, _ body: () async throws -> Value) async throws -> Value {
        let start = ContinuousClock.now
        say("\(what) …", end: logs ? "\n" : "")
        do {
            let value = try await body()
            let milliseconds = start.duration(to: .now) / .milliseconds(1)
            say("\(logs ? "All started, in" : "") \(Int(milliseconds)) ms")
            return value
        } catch {
            let word = error is CancellationError ? "stopped" : "failed"
            say(logs ? word.capitalized : " \(word)")
            throw error
        }
    }

    func say(_ text: String, end: String = "\n") {
        guard !isQuiet else { return }
        // What it says is for people; when nobody reads it any more, there is nobody to tell.
        try? FileHandle.standardError.write(contentsOf: Data((text + end).utf8))
    }
}
