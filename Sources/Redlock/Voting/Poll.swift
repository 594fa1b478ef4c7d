import Synchronization

/// Asks all nodes, and joins what is asked at about the same time into one ``Bundle``.
final class Poll: Sendable {
    private let nodes: [PolledNode]
    private let grace: Duration
    private let clock: any MonotonicClock
    private let open = Mutex<Bundle?>(nil)
    /// How many questions are on their way.
    private let waiting = Atomic<Int>(0)

    init(nodes: [any LockNode], grace: Duration, clock: any MonotonicClock) {
        self.nodes = nodes.map { PolledNode($0) }
        self.grace = grace
        self.clock = clock
    }

    /// Asks.
    ///
    /// Once those that answered have decided, the others get a short grace. When the task is cancelled, all that have not
    /// answered are late; the question is sent all the same.
    ///
    /// - Parameters:
    ///   - question: What is asked.
    ///   - deadline: How long any node is waited for.
    /// - Returns: One ballot for each node, in the nodes' order.
    func ask(_ question: LockQuestion, within deadline: Duration) async -> [Ballot] {
        let (bundle, index) = open.withLock { open in
            if let open, open.deadline == deadline, let index = open.add(question) { return (open, index) }
            let bundle = Bundle(
                nodes: nodes,
                quorum: nodes.count / 2 + 1,
                deadline: deadline,
                grace: grace,
                clock: clock
            )
            open = bundle
            return (bundle, bundle.add(question)!)  // It is new, and has room.
        }
        let isAlone = waiting.add(1, ordering: .relaxed).oldValue == 0
        if index == 0 {
            // Who opens a bundle sends it, after all tasks that can run now had their turn.
            if !isAlone { await Task.yield() }
            bundle.send()
        }
        let ballots = await bundle.ballots(on: index)
        waiting.subtract(1, ordering: .relaxed)
        return ballots
    }

    /// Asks some nodes, by their numbers, and waits for each of them, though the caller be cancelled.
    func askAll(_ numbers: [Int], _ question: LockQuestion, within deadline: Duration) async {
        let nodes = numbers.map { self.nodes[$0] }
        let bundle = Bundle(nodes: nodes, quorum: nodes.count, deadline: deadline, grace: deadline, clock: clock)
        let index = bundle.add(question)!  // It is new, and has room.
        bundle.send()
        // A task of its own does not inherit cancellation; awaiting it here keeps it owned.
        _ = await Task { await bundle.ballots(on: index) }.value
    }
}
