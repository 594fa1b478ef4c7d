import Holdfast
import Hummingbird

/// Whether the process is alive, and whether it should be sent requests.
struct HealthRoutes: Sendable {
    let database: DatabaseReadiness
    let drain: DrainState

    func add(to router: Router<IntakeContext>) {
        router.get("healthz") { _, _ in "ok\n" }
        router.get("readyz") { _, _ in
            let reason = drain.isDraining ? "it is shutting down" : await database.reason()
            if let reason { throw Problem(.serviceUnavailable, "not ready: \(reason)", retryAfter: 1) }
            return "ready\n"
        }
    }
}
