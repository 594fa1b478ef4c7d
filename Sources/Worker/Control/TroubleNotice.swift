import Logging

/// Says that something is amiss once that has lasted, and once a minute while it does; and that it is over, if it was said.
///
/// As a worker starts, its nodes are not connected yet.
struct TroubleNotice {
    private static let interval: Duration = .seconds(60)

    private let lasts: Logger.Message
    private let isOver: Logger.Message
    private let patience: Duration
    private var since: ContinuousClock.Instant?
    private var saidAt: ContinuousClock.Instant?

    /// - Parameters:
    ///   - lasts: What is said while it lasts; the reason goes along.
    ///   - isOver: What is said then.
    ///   - patience: How long it must have lasted.
    init(_ lasts: Logger.Message, isOver: Logger.Message, after patience: Duration = .milliseconds(500)) {
        self.lasts = lasts
        self.isOver = isOver
        self.patience = patience
    }

    /// Takes in how things are.
    ///
    /// - Parameters:
    ///   - reason: What is amiss; `nil` when nothing is.
    ///   - logger: Where it is said.
    ///   - now: The time.
    mutating func note(_ reason: String?, _ logger: Logger, at now: ContinuousClock.Instant = .now) {
        guard let reason else {
            if saidAt != nil { logger.info(isOver) }
            (since, saidAt) = (nil, nil)
            return
        }
        let start = since ?? now
        since = start
        guard start.duration(to: now) >= patience,
            saidAt.map({ $0.duration(to: now) >= Self.interval }) ?? true
        else { return }
        saidAt = now
        logger.warning(lasts, metadata: ["error": "\(reason)"])
    }
}
