extension Redlock {
    private enum Arrival {
        case vote(Int, Vote)
        case graceOver
    }

    /// Asks all nodes at once.
    ///
    /// Once those that answered have decided, the others get a short grace: a frozen node slows nobody.
    ///
    /// - Returns: One vote for each node, in the nodes' order.
    func votes(_ question: @escaping @Sendable (any LockNode) async -> Vote.Verdict) async -> [Vote] {
        let start = clock.now
        return await withTaskGroup(of: Arrival.self) { group in
            for (index, node) in nodes.enumerated() {
                group.addTask {
                    let verdict = await question(node)
                    let latency = start.duration(to: clock.now)
                    return .vote(index, Vote(node: node.name, verdict: verdict, latency: latency))
                }
            }
            var votes = [Vote?](repeating: nil, count: nodes.count)
            var missing = nodes.count
            var isDecided = false
            while missing > 0, let arrival = await group.next() {
                switch arrival {
                case .vote(let index, let vote):
                    votes[index] = vote
                    missing -= 1
                    guard !isDecided, missing > 0, Self.isDecided(votes, quorum: quorum) else { continue }
                    isDecided = true
                    group.addTask {
                        // Cancelled once nobody is missing.
                        try? await clock.sleep(for: configuration.stragglerGrace)
                        return .graceOver
                    }
                case .graceOver:
                    // A question that is cancelled answers `late`.
                    group.cancelAll()
                }
            }
            group.cancelAll()
            return votes.map { $0! }  // None is missing.
        }
    }

    /// Whether no further vote can change the outcome.
    static func isDecided(_ votes: [Vote?], quorum: Int) -> Bool {
        let granted = votes.count { $0?.verdict == .granted }
        let open = votes.count { $0 == nil }
        return granted >= quorum || granted + open < quorum
    }
}
