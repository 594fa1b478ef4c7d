import CoreMetrics
import Logging

extension Redlock {
    /// How an extension ended.
    enum Extension {
        case extended
        /// Too few nodes answered in time; the next try may do better.
        case denied
        /// So many nodes have the lock no more, or are not believed, that no try can have a quorum.
        case gone
    }

    /// Asks all nodes to keep a hold for another TTL.
    ///
    /// - Parameters:
    ///   - hold: A hold that is valid now; gets the votes, and its new validity.
    ///   - limit: How long to wait for any node, if that is less than the configured deadline.
    /// - Returns: Whether the hold is valid for longer now.
    func extend(_ hold: inout Hold, within limit: Duration) async -> Extension {
        let start = clock.now
        let question = LockQuestion(.extend, names: hold.names, token: hold.token, ttl: hold.ttl)
        let ballots = await ask(question, within: limit)
        return judge(&hold, ballots, asked: start)
    }

    /// Judges the votes on an extension.
    ///
    /// Not inlined: what it needs for a moment would stay in the memory of each task that keeps a hold.
    @inline(never)
    private func judge(_ hold: inout Hold, _ ballots: [Ballot], asked start: ContinuousClock.Instant) -> Extension {
        let now = clock.now
        var contents = hold.contents
        defer { hold = Hold(contents) }
        contents.votes = ballots.indices.map { index in
            let verdict = check(&contents.clocks[index], ballots[index], of: nodes[index], ttl: hold.ttl, asked: start)
            return Vote(node: nodes[index].name, verdict: verdict, latency: ballots[index].latency)
        }
        if contents.votes.count(.granted) >= quorum, let validity = validity(ttl: hold.ttl, since: start, at: now) {
            contents.validUntil = now.advanced(by: validity)
            metrics.extended.increment()
            return .extended
        }
        metrics.notExtended.increment()
        let gone = contents.votes.count(.held) + contents.votes.count(.stepped)
        return gone > nodes.count - quorum ? .gone : .denied
    }

    /// Notes how keeping a hold ended, where an operator may want to know.
    func count(_ end: LockError.Code) {
        switch end {
        case .lost: metrics.lost.increment()
        case .overrun: metrics.overrun.increment()
        default: break
        }
    }

    /// Compares a node's clock with ours.
    ///
    /// - Returns: The node's verdict; `stepped` when it has no vote on this hold any more.
    private func check(
        _ clock: inout ClockCheck,
        _ ballot: Ballot,
        of node: any LockNode,
        ttl: Duration,
        asked: ContinuousClock.Instant
    ) -> Vote.Verdict {
        guard let left = ballot.left else {
            clock.unanswered()
            return clock.hasStepped ? .stepped : ballot.verdict
        }
        let hadStepped = clock.hasStepped
        clock.extended(
            left: left,
            ttl: ttl,
            asked: asked,
            answered: ballot.answeredAt,
            driftFactor: configuration.driftFactor
        )
        guard clock.hasStepped else { return ballot.verdict }
        if !hadStepped {
            metrics.steps.increment()
            logger.warning(
                "Clock of a lock node has stepped; it has no vote on this hold any more",
                metadata: ["node": "\(node.name)", "lock.left": "\(left)", "lock.ttl": "\(ttl)"]
            )
        }
        return .stepped
    }
}
