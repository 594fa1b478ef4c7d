import Synchronization

/// The queues of which no job is to be started, as the worker knows it.
final class PausedQueues: Sendable {
    private let names = Mutex<Set<String>>([])

    func contains(_ queue: String) -> Bool { names.withLock { $0.contains(queue) } }

    func replace(with queues: [String]) { names.withLock { $0 = Set(queues) } }
}
