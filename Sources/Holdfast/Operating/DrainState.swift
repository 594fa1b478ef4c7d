import Synchronization

/// Whether a process is about to end: it answers what it has, and is not to be sent more.
package final class DrainState: Sendable {
    private let draining = Atomic(false)

    package init() {}

    package var isDraining: Bool { draining.load(ordering: .relaxed) }

    /// From now on it drains.
    package func begin() { draining.store(true, ordering: .relaxed) }
}
