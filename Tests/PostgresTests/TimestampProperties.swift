import Foundation

// Compiled together with the parser alone, too: see Tests/Proof/Fuzzing.
#if canImport(Postgres)
    import Postgres
#endif

/// What holds of the RFC 3339 reader for any text; Foundation's calendar is another that knows none of it.
enum TimestampProperties {
    private static let calendar: Calendar = {
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = .gmt
        return calendar
    }()

    /// - Returns: What is wrong with how some bytes are read; `nil` when nothing is.
    static func failure(of bytes: [UInt8]) -> String? {
        let text = String(decoding: bytes, as: UTF8.self)
        let form =
            /(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(\.\d+)?(?:[Zz]|([-+])(\d\d):(\d\d))/.asciiOnlyDigits()
        let ours = PostgresTimestamp(rfc3339: text)
        if let ours {
            // In UTC it may be in the year before 0 or after 9999, which RFC 3339 does not have.
            let again = ours.description
            if again.utf8.count == 27, PostgresTimestamp(rfc3339: again) != ours { return "\(again) is another time" }
        }
        guard text.utf8.count == text.count, let parts = text.wholeMatch(of: form), let year = Int(parts.1),
            let month = Int(parts.2), let day = Int(parts.3), let hour = Int(parts.4), let minute = Int(parts.5),
            let second = Int(parts.6)
        else { return ours == nil ? nil : "taken, and is no RFC 3339" }
        let (hours, minutes) = (parts.9.flatMap { Int($0) } ?? 0, parts.10.flatMap { Int($0) } ?? 0)
        let date = DateComponents(calendar: calendar, year: year, month: month, day: day)
        // Foundation has the Julian calendar before 1582.
        guard year > 1582 else { return nil }
        guard date.isValidDate, hour < 24, minute < 60, second <= 60, hours < 24, minutes < 60, let midnight = date.date
        else { return ours == nil ? nil : "taken, and is no time" }
        let offset = (hours * 3600 + minutes * 60) * (parts.8 == "-" ? -1 : 1)
        let digits = (parts.7.map { String($0.dropFirst()) } ?? "").padding(toLength: 6, withPad: "0", startingAt: 0)
        let seconds = Int64(midnight.timeIntervalSince1970) + Int64(hour * 3600 + minute * 60 + second - offset)
        // A leap second, or an offset, may lead to the year 10000, which has no form.
        guard seconds < 253_402_300_800 else { return ours == nil ? nil : "taken, and has no form" }
        let expected = seconds * 1_000_000 + (Int64(digits) ?? 0)
        return ours?.microseconds == expected ? nil : "taken as \(ours?.microseconds ?? 0), and is \(expected)"
    }
}
