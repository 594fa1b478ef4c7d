/// When to tell of what goes on failing: at once, and then once a minute.
package struct OutageNotice: Sendable {
    package typealias Instant = ContinuousClock.Instant

    /// Between two messages about one outage.
    package static let interval: Duration = .seconds(60)

    private var began: Instant?
    private var told: Instant?

    package init() {}

    /// It failed.
    ///
    /// - Returns: Whether that is to be told now.
    package mutating func failed(at now: Instant = .now) -> Bool {
        if began == nil { began = now }
        if let told, told.duration(to: now) < Self.interval { return false }
        told = now
        return true
    }

    /// It went well.
    ///
    /// - Returns: How long it had failed; `nil` when it had not.
    @discardableResult
    package mutating func succeeded(at now: Instant = .now) -> Duration? {
        defer { (began, told) = (nil, nil) }
        return began?.duration(to: now)
    }
}
