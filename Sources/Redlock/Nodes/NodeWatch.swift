import CoreMetrics
package import Logging
import PlantedBugs
package import Redis
import Synchronization

/// Follows one node's connections, and keeps the node out while it may have forgotten locks.
package final class NodeWatch: Sendable {
    private struct State {
        var quarantine: Quarantine
        var isQuarantined = false
        /// Why it can be no lock node as it is.
        var misfit: NodeRefusal?
        var warnings: [String] = []
        /// As it was on the last connection.
        var identity: String?
    }

    private let state: Mutex<State>
    private let scriptsKnown = Atomic(false)
    private let isOn: Bool
    private let name: String
    private let roster: NodeRoster?
    private let clock: any MonotonicClock
    private let logger: Logger
    private let metrics: NodeMetrics
    /// Whether it does what it is asked for.
    let probe: NodeProbe

    /// - Parameters:
    ///   - name: The node's.
    ///   - configuration: Says how long it is kept out after a restart.
    ///   - roster: Of the nodes of the same lock.
    ///   - clock: Measures that.
    ///   - logger: Gets a line when it is kept out, and when it votes again.
    package init(
        name: String,
        configuration: RedlockConfiguration,
        roster: NodeRoster? = nil,
        clock: any MonotonicClock = ContinuousClock(),
        logger: Logger
    ) {
        let quarantine = Quarantine(longestTTL: configuration.longestTTL, driftFactor: configuration.driftFactor)
        state = Mutex(State(quarantine: quarantine))
        isOn = configuration.quarantinesRestartedNodes && !PlantedBug.noQuarantine.isPlanted
        self.clock = clock
        self.name = name
        self.roster = roster
        var logger = logger
        logger[metadataKey: "node"] = "\(name)"
        self.logger = logger
        metrics = NodeMetrics(node: name)
        probe = NodeProbe(
            name: name,
            messages: NodeProbe.Messages(
                refuses: "Lock node answers with an error, and has no vote",
                obeys: "Lock node votes again"
            ),
            every: configuration.probeInterval,
            clock: clock,
            logger: logger
        )
    }

    /// Takes in that there is a connection, or is none any more.
    package func changed(_ change: RedisNodeState) {
        let now = clock.now
        switch change {
        case .lost:
            metrics.losses.increment()
            probe.lost()
            state.withLock { $0.quarantine.lost(at: now) }
        case .connected(let info):
            metrics.connections.increment()
            scriptsKnown.store(info?.knowsScripts == true, ordering: .relaxed)
            check(info)
            guard isOn else { return }
            let left = state.withLock { state in
                state.quarantine.connected(info, at: now)
                let left = state.quarantine.left(at: now)
                state.isQuarantined = left != nil
                return left
            }
            guard let left else { return metrics.quarantined.record(0) }
            metrics.quarantined.record(1)
            let seconds = "\(left.milliseconds / 1000)"
            // A node that may not be asked for INFO is kept out after each connection: that is for its operator to know.
            let reason = info == nil ? "it may not be asked for INFO" : "it was started a short while ago"
            logger.warning(
                "Lock node may have forgotten locks, and has no vote",
                metadata: ["quarantine.seconds": "\(seconds)", "reason": "\(reason)"]
            )
        }
    }

    /// Looks whether the node is what it is taken for.
    private func check(_ info: RedisServerInfo?) {
        let misfit = misfit(info)
        let warnings = NodeFitness.warnings(ofLockNode: info)
        state.withLock { state in
            state.misfit = misfit
            state.warnings = warnings
            state.identity = info?.identity ?? state.identity
        }
        if let misfit {
            logger.error(
                "Lock node cannot be used, and has no vote",
                metadata: ["code": "\(misfit.code)", "error": "\(misfit)"]
            )
        }
        for warning in warnings {
            logger.warning("Lock node is not set up as locks need it", metadata: ["error": "\(warning)"])
        }
    }

    private func misfit(_ info: RedisServerInfo?) -> NodeRefusal? {
        if let info, let twin = roster?.enter(ObjectIdentifier(self), name, run: info.runID) {
            return NodeRefusal(
                code: "TWIN",
                message: "it is the same server as \(twin): name servers that share nothing"
            )
        }
        return NodeFitness.misfit(asLockNode: info)
    }

    /// Whether it can be no lock node as it is.
    var isMisfit: Bool { state.withLock { $0.misfit != nil } }

    /// Takes in what the node says of itself now: a replica may have been made a primary.
    func checkAgain(_ info: RedisServerInfo) {
        let misfit = misfit(info)
        let isOver = state.withLock { state in
            defer { state.misfit = misfit }
            return state.misfit != nil && misfit == nil
        }
        if isOver { logger.info("Lock node votes again") }
    }

    /// Why it can be no lock node as it is, or answers with errors; `nil` when neither is so.
    var refusal: NodeRefusal? { state.withLock(\.misfit) ?? probe.refusal }

    /// Whether it is not asked for new locks.
    var isRefusing: Bool { state.withLock { $0.misfit != nil } || probe.isRefusing }

    /// What it should be told otherwise, in words.
    var warnings: [String] { state.withLock(\.warnings) }

    /// By what it is known, under whatever name; `nil` before its first connection, or when it does not say.
    var identity: String? { state.withLock(\.identity) }

    /// Whether the node knows the locks' scripts by their hashes.
    var knowsScripts: Bool { scriptsKnown.load(ordering: .relaxed) }

    /// Notes that the node has been made to forget the scripts.
    func forgetScripts() { scriptsKnown.store(false, ordering: .relaxed) }

    /// How long the node is kept out, from now on; `nil` when it is not.
    var quarantineLeft: Duration? { state.withLock { $0.quarantine.left(at: clock.now) } }

    /// Whether the node may have forgotten locks, and has no vote now.
    package func isQuarantined() -> Bool {
        let (isQuarantined, isNews) = state.withLock { state in
            // Almost always false: no clock is read then.
            guard state.isQuarantined else { return (false, false) }
            state.isQuarantined = state.quarantine.left(at: clock.now) != nil
            return (state.isQuarantined, !state.isQuarantined)
        }
        if isNews {
            metrics.quarantined.record(0)
            logger.info("Lock node votes again")
        }
        return isQuarantined
    }
}
