/// A node, and its count of votes.
struct PolledNode: Sendable {
    let node: any LockNode
    private let votes: VoteMetrics

    init(_ node: any LockNode) {
        self.node = node
        votes = VoteMetrics(node: node.name)
    }

    func count(_ answers: [LockAnswer]) { votes.count(answers) }
}
