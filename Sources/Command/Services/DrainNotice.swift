import Holdfast
import ServiceLifecycle

/// Says at graceful shutdown that the process drains, and leaves balancers some time to notice before the rest shuts down.
///
/// It stands last in its group, and so ends first.
struct DrainNotice: Service {
    let drain: DrainState
    let delay: Duration

    func run() async throws {
        try await gracefulShutdown()
        drain.begin()
        try await Task.sleep(for: delay)
    }
}
