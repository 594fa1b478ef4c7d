import Holdfast
import ServiceLifecycle

/// Waits at the start for a database that is away, and ends the program when it turns out to be none to work with.
struct DatabaseWatch: Service {
    let check: DatabaseCheck

    func run() async throws {
        let wrong: String? = try await cancelWhenGracefulShutdown {
            do {
                return try await check.wait()
            } catch is CancellationError {
                return nil
            }
        }
        if let wrong { throw InvalidSetting(wrong) }
        try await gracefulShutdown()
    }
}
