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

    /// The instant that lies this much later, to the microsecond.
    package func advanced(by duration: Duration) -> PostgresTimestamp {
        let (seconds, attoseconds) = duration.components
        return PostgresTimestamp(microseconds: microseconds + seconds * 1_000_000 + attoseconds / 1_000_000_000_000)
    }

    /// How much later another instant is.
    package func duration(to other: PostgresTimestamp) -> Duration {
        .microseconds(other.microseconds - microseconds)
    }

    /// From 1970 to 2000, where PostgreSQL counts from.
    private static let millennium: Int64 = 946_684_800_000_000

    init(sinceMillennium count: Int64) {
        switch count {
        case .max, .min: microseconds = count
        // The server's range ends in the year 294276, far from overflow; what is beyond is none of its values.
        default: microseconds = count &+ Self.millennium
        }
    }

    /// Microseconds since 2000-01-01, as the server counts.
    var sinceMillennium: Int64 {
        switch microseconds {
        case .max, .min: microseconds
        default: microseconds &- Self.millennium
        }
    }
}
