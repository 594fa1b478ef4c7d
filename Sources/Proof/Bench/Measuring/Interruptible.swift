import ArgumentParser
import Foundation
import LocalStack
import UnixSignals

/// Runs `body`, and cancels it when the user interrupts the program: it then stops what it has started.
///
/// A second signal ends the program at once.
///
/// - Parameter body: Throws `CancellationError` soon when it is cancelled.
/// - Returns: What `body` returns.
/// - Throws: `ExitCode` 130 when a signal came, else what `body` throws.
func interruptible<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) async throws -> Value {
    LocalProcess.endAllAtExit()
    let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm, .sighup)
    let work = Task { try await body() }
    return try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask {
            for await _ in signals {
                if work.isCancelled { exit(130) }
                work.cancel()
            }
        }
        defer { group.cancelAll() }
        let result = await work.result
        // Whatever its last words were: it was ended, and did not fail.
        if work.isCancelled { throw ExitCode(130) }
        return try result.get()
    }
}
