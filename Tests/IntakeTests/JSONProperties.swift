import Foundation

// Compiled together with the parsers alone, too: see Tests/Proof/Fuzzing.
#if canImport(Intake)
    @testable import Intake
#endif

/// What holds of the JSON reader for any bytes; Foundation's is another that knows none of it.
enum JSONProperties {
    /// - Returns: What is wrong with how some bytes are read; `nil` when nothing is.
    static func failure(of bytes: [UInt8]) -> String? {
        let ours = read(bytes)
        // Foundation also takes other encodings than UTF-8, which it knows by these.
        if !bytes.contains(0), !bytes.starts(with: [0xEF, 0xBB, 0xBF]), !bytes.starts(with: [0xFF, 0xFE]),
            !bytes.starts(with: [0xFE, 0xFF])
        {
            let theirs = try? JSONSerialization.jsonObject(with: Data(bytes), options: .fragmentsAllowed)
            switch (ours, theirs) {
            case (nil, nil): break
            case (nil, let theirs?):
                if !isBeyondLimits(bytes) { return "refused, and is \(theirs)" }
            case (let ours?, nil):
                // Foundation refuses numbers that no Double holds.
                if !holdsInfinity(ours), !hasHugeNumber(bytes) { return "taken as \(ours), and is no JSON" }
            case (let ours?, let theirs?):
                if !isEqual(ours, theirs) { return "taken as \(ours), and is \(theirs)" }
            }
        }
        return ours.flatMap { failure(of: $0) } ?? splitting(bytes)
    }

    /// What our reader takes of some bytes: a value, and whatever is nested in objects, each read by itself.
    private enum Read {
        case value(JSONValue)
        case object([String: Read], JSONText)
    }

    private static func read(_ bytes: some Sequence<UInt8>) -> Read? {
        guard let value = try? JSONParser.parse(bytes) else { return nil }
        guard case .object(let object) = value else { return .value(value) }
        // One with too many fields is compared as a text alone.
        guard let fields = try? JSONParser.fields(object.text.utf8) else { return .value(value) }
        // Of several of one name the last counts.
        let pairs = fields.map { field in
            guard case .object(let nested) = field.value else { return (field.name, Read.value(field.value)) }
            return (field.name, read(nested.text.utf8) ?? .value(.null))
        }
        return .object(Dictionary(pairs) { $1 }, object)
    }

    /// Whether it may be what only our reader refuses.
    private static func isBeyondLimits(_ bytes: [UInt8]) -> Bool {
        var depth = 0
        var deepest = 0
        for byte in bytes {
            if byte == UInt8(ascii: "[") || byte == UInt8(ascii: "{") { depth += 1 }
            if byte == UInt8(ascii: "]") || byte == UInt8(ascii: "}") { depth -= 1 }
            deepest = max(deepest, depth)
        }
        return deepest > 64 || hasHugeNumber(bytes) || hasTrailingComma(bytes)
    }

    /// Foundation takes a comma after the last item, which JSON does not have.
    private static func hasTrailingComma(_ bytes: [UInt8]) -> Bool {
        let visible = bytes.filter { $0 > 0x20 }
        return zip(visible, visible.dropFirst()).contains {
            $0 == UInt8(ascii: ",") && ($1 == UInt8(ascii: "]") || $1 == UInt8(ascii: "}"))
        }
    }

    /// Whether there may be a number in it with 300 digits, or an exponent of three.
    private static func hasHugeNumber(_ bytes: [UInt8]) -> Bool {
        let text = String(decoding: bytes, as: UTF8.self)
        return text.contains(/[eE][-+]?\d{3}/) || text.contains(/[\d.]{300}/)
    }

    private static func holdsInfinity(_ read: Read) -> Bool {
        switch read {
        case .value(.number(let number)): number.isInfinite
        case .value: false
        case .object(let fields, _): fields.values.contains(where: holdsInfinity)
        }
    }

    private static func isEqual(_ ours: Read, _ theirs: Any) -> Bool {
        switch ours {
        case .value(.null): theirs is NSNull
        case .value(.bool(let value)): (theirs as? Bool) == value
        case .value(.integer(let number)): isClose(Double(number), theirs)
        case .value(.number(let number)): isClose(number, theirs)
        case .value(.string(let text)): (theirs as? String).map { Array($0.utf8) } == Array(text.utf8)
        case .value(.array): theirs is [Any]
        case .value(.object(let object)): theirs is [String: Any] && object.holdsNUL == holdsNUL(theirs)
        case .object(let fields, let object):
            (theirs as? [String: Any]).map { theirs in
                theirs.count == fields.count && (object.holdsNUL || !holdsNUL(theirs))
                    && fields.allSatisfy { name, value in theirs[name].map { isEqual(value, $0) } ?? false }
            } ?? false
        }
    }

    /// Foundation reads long numbers as decimal ones, and rounds them otherwise.
    private static func isClose(_ ours: Double, _ theirs: Any) -> Bool {
        guard let theirs = (theirs as? NSNumber)?.doubleValue else { return false }
        return ours == theirs || abs(ours - theirs) <= abs(ours) * 1e-14
    }

    private static func holdsNUL(_ value: Any) -> Bool {
        switch value {
        case let text as String: text.utf8.contains(0)
        case let values as [Any]: values.contains(where: holdsNUL)
        case let fields as [String: Any]: fields.contains { $0.utf8.contains(0) || holdsNUL($1) }
        default: false
        }
    }

    /// A number's text is that number, written as JavaScript does.
    private static func failure(of read: Read) -> String? {
        switch read {
        case .value(.number(let number)):
            guard let text = JSONValue.number(number).text else { return "\(number) has no text" }
            let isFit = number.isInfinite || text.contains(/^-?(\d+|\d+\.\d+|\d(\.\d+)?e[-+]\d+)$/)
            // JavaScript's word, which Double does not read.
            let read = Double(text.replacingOccurrences(of: "Infinity", with: "inf"))
            return isFit && read == number && text.contains("inf") == false ? nil : "\(number) is written as \(text)"
        case .object(let fields, _): return fields.values.lazy.compactMap { failure(of: $0) }.first
        case .value: return nil
        }
    }

    /// Items are the same wherever the bytes are cut, and as many as there are.
    private static func splitting(_ bytes: [UInt8]) -> String? {
        for form in [ItemSplitter.Form.array, .lines] {
            let whole = items(of: [bytes], form)
            guard items(of: bytes.map { [$0] }, form) == whole else { return "other items byte by byte" }
            guard form == .array, let whole, !bytes.contains(0),
                let theirs = try? JSONSerialization.jsonObject(with: Data(bytes)) as? [Any]
            else { continue }
            guard whole.count == theirs.count else { return "\(whole.count) items of \(theirs.count)" }
        }
        return nil
    }

    private static func items(of pieces: [[UInt8]], _ form: ItemSplitter.Form) -> [[UInt8]]? {
        var splitter = ItemSplitter(form, itemLimit: 1 << 20)
        var items: [[UInt8]] = []
        do {
            for piece in pieces { try splitter.add(piece) { items.append($0) } }
            try splitter.finish { items.append($0) }
            return items
        } catch {
            return nil
        }
    }
}
