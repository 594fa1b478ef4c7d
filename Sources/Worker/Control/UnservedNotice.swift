import Holdfast
import Logging

/// Says which kinds of job wait that no live worker takes: when that begins to last, once a minute while it does, and when it
/// is over.
struct UnservedNotice {
    /// Between two lines of the log about one kind.
    static let interval: Duration = .seconds(60)

    private var told: [UnservedKind: ContinuousClock.Instant] = [:]

    /// Takes in the kinds that are not served now.
    ///
    /// - Returns: Those that are to be told of, and those told of earlier that are served again, or wait no more.
    mutating func note(
        _ kinds: [UnservedKind],
        at now: ContinuousClock.Instant = .now
    ) -> (waiting: [UnservedKind], over: [UnservedKind]) {
        let over = told.keys.filter { !kinds.contains($0) }
        for kind in over { told[kind] = nil }
        let waiting = kinds.filter { kind in told[kind].map { $0.duration(to: now) >= Self.interval } ?? true }
        for kind in waiting { told[kind] = now }
        return (waiting, over)
    }
}

extension Worker {
    /// Tells of kinds that no live worker takes, of those that the database has this worker tell of.
    func tell(of kinds: [UnservedKind], _ notice: inout UnservedNotice) {
        let (waiting, over) = notice.note(kinds)
        for kind in waiting {
            logger.warning("Jobs wait, and no live worker takes their kind", metadata: kind.metadata)
        }
        for kind in over { logger.info("Jobs of a kind wait for a worker no more", metadata: kind.metadata) }
    }
}

extension UnservedKind {
    fileprivate var metadata: Logger.Metadata { ["job.kind": "\(kind)", "queue": "\(queue)"] }
}
