import Foundation

/// Says on standard error what a long start is doing, each step with the time that it took.
struct Progress: Sendable {
    let isQuiet: Bool

    func step<Value>(_ what: String, _ body: () async throws -> Value) async throws -> Value {
        let start = ContinuousClock.now
        say("\(what) …", end: "")
        do {
            let value = try await body()
            let milliseconds = start.duration(to: .now) / .milliseconds(1)
            say(" \(Int(milliseconds)) ms")
            return value
        } catch {
            say(" failed")
            throw error
        }
    }

    func say(_ text: String, end: String = "\n") {
        guard !isQuiet else { return }
        FileHandle.standardError.write(Data((text + end).utf8))
    }
}
