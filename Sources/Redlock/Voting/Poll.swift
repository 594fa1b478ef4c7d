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

    /// Asks, all questions at once and in their order.
    ///
    /// Once those that answered have decided, the others get a short grace. When the task is cancelled, all that have not
    /// answered are late; the questions are sent all the same.
    ///
    /// - Parameters:
    ///   - questions: What is asked.
    ///   - deadline: How long any node is waited for.
    /// - Returns: For each question one ballot for each node, in the nodes' order.
    func ask(_ questions: [LockQuestion], within deadline: Duration) async -> [[Ballot]] {
        let (bundle, first) = open.withLock { open in
            if let open, open.deadline == deadline, let index = open.add(questions) { return (open, index) }
            let bundle = Bundle(
                nodes: nodes,
                quorum: nodes.count / 2 + 1,
                deadline: deadline,
                grace: grace,
                clock: clock
            )
            open = bundle
            return (bundle, bundle.add(questions)!)  // It is new, and has room.
        }
        let isAlone = waiting.add(1, ordering: .relaxed).oldValue == 0
        if first == 0 {
            // Who opens a bundle sends it, after all tasks that can run now had their turn.
            if !isAlone { await Task.yield() }
            bundle.send()
        }
        var ballots: [[Ballot]] = []
        for index in questions.indices { ballots.append(await bundle.ballots(on: first + index)) }
        waiting.subtract(1, ordering: .relaxed)
        return ballots
    }

    /// Asks some nodes, by their numbers, and waits for each of them, though the caller be cancelled.
    func askAll(_ numbers: [Int], _ question: LockQuestion, within deadline: Duration) async {
        let nodes = numbers.map { self.nodes[$0] }
        let bundle = Bundle(nodes: nodes, quorum: nodes.count, deadline: deadline, grace: deadline, clock: clock)
        let index = bundle.add([question])!  // It is new, and has room.
        bundle.send()
        // A task of its own does not inherit cancellation; awaiting it here keeps it owned.
        _ = await Task { await bundle.ballots(on: index) }.value
    }
}
