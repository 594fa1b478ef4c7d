/// A server's clock, as it was read once.
package struct ServerClock: Sendable {
    package let reading: PostgresTimestamp
    /// A moment by which it had been read, on this process' monotonic clock.
    package let readBy: ContinuousClock.Instant

    package init(reading: PostgresTimestamp, readBy: ContinuousClock.Instant) {
        self.reading = reading
        self.readBy = readBy
    }

    /// What it shows at a moment, or somewhat less: as long as the reading took to come.
    package func time(at moment: ContinuousClock.Instant) -> PostgresTimestamp {
        reading.advanced(by: readBy.duration(to: moment))
    }
}

extension PostgresConnection {
    /// For so long a reading is counted on: it is wrong by no more than a clock that is being set right drifts meanwhile.
    private static let clockAge: Duration = .seconds(1)
    private static let readClock = Statement(name: "read_clock", sql: "select clock_timestamp()")

    /// The server's clock; it is read when it was not read on this connection within the last second.
    ///
    /// - Throws: As ``execute(_:_:within:)``.
    package func clock(within limit: Duration? = nil) async throws(PostgresError) -> ServerClock {
        if let lastClock, lastClock.readBy.duration(to: .now) < Self.clockAge { return lastClock }
        let row = try await execute(Self.readClock, within: limit)[0]
        let clock = ServerClock(reading: try row.decode(PostgresTimestamp.self, at: 0), readBy: .now)
        lastClock = clock
        return clock
    }
}
