/// An instant of the database's clock, in microseconds.
package struct PostgresTimestamp: Sendable, Hashable, Comparable {
    /// Microseconds since 1970-01-01 00:00 UTC, leap seconds not counted.
    package let microseconds: Int64

    package init(microseconds: Int64) {
        self.microseconds = microseconds
    }

    /// PostgreSQL's `infinity`, later than all others.
    package static let infinity = PostgresTimestamp(microseconds: .max)
    /// PostgreSQL's `-infinity`, earlier than all others.
    package static let negativeInfinity = PostgresTimestamp(microseconds: .min)

    package static func < (left: PostgresTimestamp, right: PostgresTimestamp) -> Bool {
        left.microseconds < right.microseconds
    }

    /// The instant that lies this much later, to the microsecond; an infinite one stays as it is, and what is out of range
    /// is infinite.
    package func advanced(by duration: Duration) -> PostgresTimestamp {
        guard self != .infinity, self != .negativeInfinity else { return self }
        let (seconds, attoseconds) = duration.components
        let (whole, isTooLong) = seconds.multipliedReportingOverflow(by: 1_000_000)
        let (added, isStillTooLong) = whole.addingReportingOverflow(attoseconds / 1_000_000_000_000)
        let (sum, isOutOfRange) = microseconds.addingReportingOverflow(added)
        guard !isTooLong, !isStillTooLong, !isOutOfRange else {
            return duration > .zero ? .infinity : .negativeInfinity
        }
        return PostgresTimestamp(microseconds: sum)
    }

    /// How much later another instant is; at most as long as microseconds can be counted.
    package func duration(to other: PostgresTimestamp) -> Duration {
        let (difference, isOutOfRange) = other.microseconds.subtractingReportingOverflow(microseconds)
        guard isOutOfRange else { return .microseconds(difference) }
        return .microseconds(other > self ? Int64.max : Int64.min)
    }

    /// From 1970 to 2000, where PostgreSQL counts from.
    private static let millennium: Int64 = 946_684_800_000_000

    init(sinceMillennium count: Int64) {
        switch count {
        case .max, .min: microseconds = count
        default:
            // The server's range ends in the year 294276, some days after what can be counted from 1970.
            let (sum, isOutOfRange) = count.addingReportingOverflow(Self.millennium)
            microseconds = isOutOfRange ? .max : sum
        }
    }

    /// Microseconds since 2000-01-01, as the server counts.
    var sinceMillennium: Int64 {
        switch microseconds {
        case .max, .min: microseconds
        default:
            // What is earlier than can be counted from 2000 is earlier than all that the server has.
            microseconds.subtractingReportingOverflow(Self.millennium).overflow ? .min : microseconds - Self.millennium
        }
    }
}
