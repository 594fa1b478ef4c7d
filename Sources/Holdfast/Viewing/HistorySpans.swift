import Postgres

/// The history's time in parts, the latest first.
///
/// It has a partition for each day, and a statement locks each partition that it may need, and that one's indexes: of a year
/// that is thousands of entries in a table that all sessions share. So what is not found in the last days is looked for in a
/// fortnight at a time.
struct HistorySpans {
    private static let longest: Duration = .seconds(14 * 86_400)

    private let oldest: PostgresTimestamp
    /// Where the next part begins and ends; `nil` when all have been.
    private var part: Range<PostgresTimestamp>?
    private var length: Duration

    /// - Parameters:
    ///   - last: The end of the first part, which has all that is later, too.
    ///   - length: How long that part is; each one after it is eight times as long, and a fortnight at most.
    ///   - oldest: What is before this, is one part.
    init(endingAt last: PostgresTimestamp, atFirst length: Duration = longest, oldest: PostgresTimestamp) {
        self.oldest = oldest
        self.length = min(length, Self.longest)
        part = last.advanced(by: .zero - self.length)..<(.infinity)
    }

    /// The next part; `nil` when all have been.
    mutating func next() -> Range<PostgresTimestamp>? {
        guard let part else { return nil }
        length = min(length * 8, Self.longest)
        let end = part.lowerBound
        if end == .negativeInfinity {
            self.part = nil
        } else {
            self.part = (end <= oldest ? .negativeInfinity : end.advanced(by: .zero - length))..<end
        }
        return part
    }
}
