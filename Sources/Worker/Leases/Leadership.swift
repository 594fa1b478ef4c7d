import Holdfast
import Synchronization

/// Whether this worker leads, as its heartbeat learned last.
final class Leadership: Sendable {
    private struct State {
        var pulse = WorkerRegistry.Pulse()
        var suspendedUntil: ContinuousClock.Instant?
    }

    private let state = Mutex(State())

    var isOurs: Bool { state.withLock(\.pulse.leads) }

    var hasOrphans: Bool { state.withLock(\.pulse.hasOrphans) }

    /// Whether it leads, and an outage is not so recent that the others have not had time to renew their leases.
    var mayAct: Bool {
        state.withLock { $0.pulse.leads && $0.suspendedUntil.map { ContinuousClock.now >= $0 } ?? true }
    }

    /// Takes in what a heartbeat found.
    ///
    /// - Returns: Whether the worker has become the leader, or is the leader no more.
    func take(_ pulse: WorkerRegistry.Pulse) -> Bool {
        state.withLock { state in
            defer { state.pulse = pulse }
            return state.pulse.leads != pulse.leads
        }
    }

    /// Rescues nothing for a while: after an outage the others' heartbeats come back first.
    func suspend(for time: Duration) { state.withLock { $0.suspendedUntil = .now + time } }
}
