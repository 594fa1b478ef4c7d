/// Whether a node refuses what it is asked for, and when that is to be told: as it begins, as its reason changes, and once
/// a minute while it lasts.
package struct Refusals: Sendable {
    private static let interval: Duration = .seconds(60)

    /// Why the node refuses; `nil` when it does not.
    package private(set) var current: NodeRefusal?
    private var toldAt: ContinuousClock.Instant?

    package init() {}

    /// Takes in that the node has refused.
    ///
    /// - Returns: Whether it is to be told.
    package mutating func refused(_ refusal: NodeRefusal, at now: ContinuousClock.Instant) -> Bool {
        let isNews = current?.code != refusal.code
        current = refusal
        guard isNews || toldAt.map({ $0.duration(to: now) >= Self.interval }) ?? true else { return false }
        toldAt = now
        return true
    }

    /// Takes in that the node has done what it was asked for.
    ///
    /// - Returns: Whether it had refused before.
    package mutating func answered() -> Bool {
        guard current != nil else { return false }
        self = Refusals()
        return true
    }
}
