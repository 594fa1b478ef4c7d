extension PostgresTimestamp: CustomStringConvertible {
    /// How many digits follow the second.
    package enum Precision: Sendable {
        case milliseconds
        case microseconds
    }

    /// RFC 3339 in UTC with microseconds, such as `2026-11-23T22:23:03.000001Z`.
    package var description: String { rfc3339() }

    /// RFC 3339 in UTC; what is finer than the precision is cut off.
    ///
    /// `infinity` and `-infinity` are spelt as PostgreSQL spells them.
    package func rfc3339(_ precision: Precision = .microseconds) -> String {
        switch self {
        case .infinity: return "infinity"
        case .negativeInfinity: return "-infinity"
        default: break
        }
        let (seconds, fraction) = microseconds.dividedDown(by: 1_000_000)
        let (days, second) = seconds.dividedDown(by: 86_400)
        let (year, month, day) = Self.date(days: days)
        let time = "\((second / 3_600).padded(2)):\((second / 60 % 60).padded(2)):\((second % 60).padded(2))"
        let digits =
            switch precision {
            case .milliseconds: (fraction / 1_000).padded(3)
            case .microseconds: fraction.padded(6)
            }
        return "\(year.padded(4))-\(month.padded(2))-\(day.padded(2))T\(time).\(digits)Z"
    }

    /// Reads RFC 3339, with any offset; digits beyond microseconds are dropped.
    ///
    /// - Returns: `nil` when it is anything else, or no day of the calendar.
    package init?(rfc3339 text: some StringProtocol) {
        var input = text.utf8[...]
        guard let year = input.digits(4), input.take("-"), let month = input.digits(2), input.take("-"),
            let day = input.digits(2), input.take("T") || input.take("t") || input.take(" "),
            let hour = input.digits(2), input.take(":"), let minute = input.digits(2), input.take(":"),
            let second = input.digits(2), let fraction = input.fraction(), let offset = input.offset(), input.isEmpty
        else { return nil }
        // 60 is a leap second, which becomes the next minute's first, as in PostgreSQL.
        guard (1...12).contains(month), hour < 24, minute < 60, second <= 60 else { return nil }
        let days = Self.days(year: year, month: month, day: day)
        guard Self.date(days: days) == (year, month, day) else { return nil }
        let seconds = days * 86_400 + hour * 3_600 + minute * 60 + second - offset
        // An offset, or a leap second, may carry it out of the years that the form has.
        guard Self.years.contains(seconds) else { return nil }
        self.init(microseconds: seconds * 1_000_000 + fraction)
    }

    /// The seconds of the years 0 to 9999, from 1970.
    private static let years = -62_167_219_200..<Int64(253_402_300_800)

    /// The date that lies so many days after 1970-01-01, in the Gregorian calendar.
    ///
    /// - Source: Howard Hinnant, `civil_from_days`, <https://howardhinnant.github.io/date_algorithms.html>
    private static func date(days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let (era, dayOfEra) = (days + 719_468).dividedDown(by: 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shifted = (5 * dayOfYear + 2) / 153
        let month = shifted < 10 ? shifted + 3 : shifted - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shifted + 2) / 5 + 1)
    }

    /// How many days after 1970-01-01 a date lies.
    ///
    /// - Source: Howard Hinnant, `days_from_civil`, as above.
    private static func days(year: Int64, month: Int64, day: Int64) -> Int64 {
        let (era, yearOfEra) = (month <= 2 ? year - 1 : year).dividedDown(by: 400)
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }
}

extension Int64 {
    /// Quotient towards −∞, and the remainder, which is never negative.
    fileprivate func dividedDown(by divisor: Int64) -> (quotient: Int64, remainder: Int64) {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }

    /// In decimal, with zeros in front up to a width.
    fileprivate func padded(_ width: Int) -> String {
        let digits = String(magnitude)
        return (self < 0 ? "-" : "") + String(repeating: "0", count: Swift.max(0, width - digits.count)) + digits
    }
}

extension Collection<UInt8> where SubSequence == Self {
    /// Takes one character off the front, if it is there.
    fileprivate mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard first == UInt8(ascii: character) else { return false }
        removeFirst()
        return true
    }

    /// Takes exactly so many digits off the front.
    fileprivate mutating func digits(_ count: Int) -> Int64? {
        var number: Int64 = 0
        for _ in 0..<count {
            guard let digit = first, (0x30...0x39).contains(digit) else { return nil }
            number = number * 10 + Int64(digit - 0x30)
            removeFirst()
        }
        return number
    }

    /// Takes a fraction of a second off the front, in microseconds; 0 when there is none.
    fileprivate mutating func fraction() -> Int64? {
        guard take(".") else { return 0 }
        guard var microseconds = digits(1) else { return nil }
        for _ in 1..<6 { microseconds = microseconds * 10 + (digits(1) ?? 0) }
        while digits(1) != nil {}
        return microseconds
    }

    /// Takes an offset from UTC off the front, in seconds.
    fileprivate mutating func offset() -> Int64? {
        if take("Z") || take("z") { return 0 }
        let isWest = first == UInt8(ascii: "-")
        guard take("+") || take("-"), let hours = digits(2), take(":"), let minutes = digits(2), hours < 24,
            minutes < 60
        else { return nil }
        return (hours * 3_600 + minutes * 60) * (isWest ? -1 : 1)
    }
}
