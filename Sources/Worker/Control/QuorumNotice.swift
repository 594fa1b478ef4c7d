import Logging

/// Says that no quorum is connected once that has lasted: as a worker starts, its lock nodes are not connected yet.
struct QuorumNotice {
    private static let patience: Duration = .milliseconds(500)

    private var missingSince: ContinuousClock.Instant?
    private var isSaid = false

    /// Takes in whether there is a quorum.
    mutating func note(_ hasQuorum: Bool, _ logger: Logger, at now: ContinuousClock.Instant = .now) {
        guard !hasQuorum else {
            if isSaid { logger.info("A quorum of lock nodes is back") }
            self = QuorumNotice()
            return
        }
        let since = missingSince ?? now
        missingSince = since
        guard !isSaid, since.duration(to: now) >= Self.patience else { return }
        isSaid = true
        logger.warning("No quorum of lock nodes is connected; jobs wait")
    }
}
