/// Takes the items out of a JSON array, or the lines out of NDJSON, as their bytes come in.
struct ItemSplitter: ~Copyable {
    enum Form: Sendable {
        case array
        case lines
    }

    enum Failure: Error {
        /// It is no array.
        case malformed
        /// An item has more bytes than it may have.
        case tooLong
    }

    private enum Place { case before, between, inItem, after }

    private let form: Form
    private let itemLimit: Int
    private var item: [UInt8] = []
    private var place = Place.before
    private var depth = 0
    private var isInString = false
    private var isEscaped = false
    private var mustFollow = false

    /// - Parameters:
    ///   - form: How items are told apart.
    ///   - itemLimit: The most bytes of an item.
    init(_ form: Form, itemLimit: Int) {
        self.form = form
        self.itemLimit = itemLimit
    }

    /// Takes bytes in.
    ///
    /// - Parameters:
    ///   - bytes: Of any number.
    ///   - each: Gets each item that they complete.
    /// - Throws: ``Failure``, or what `each` throws.
    mutating func add(_ bytes: some Sequence<UInt8>, _ each: ([UInt8]) throws -> Void) throws {
        for byte in bytes {
            switch form {
            case .lines:
                if byte == UInt8(ascii: "\n") { try end(each) } else { try append(byte) }
            case .array: try addToArray(byte, each)
            }
        }
    }

    /// Ends the input; a last line needs no line feed.
    mutating func finish(_ each: ([UInt8]) throws -> Void) throws {
        switch form {
        case .lines: if !item.isEmpty { try end(each) }
        case .array: guard place == .after else { throw Failure.malformed }
        }
    }

    private mutating func end(_ each: ([UInt8]) throws -> Void) throws {
        try each(item)
        // A long one's room is not kept for those that follow.
        item.removeAll(keepingCapacity: item.capacity <= 64 << 10)
    }

    private mutating func addToArray(_ byte: UInt8, _ each: ([UInt8]) throws -> Void) throws {
        let isSpace = byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09
        switch place {
        case .before:
            if isSpace { return }
            guard byte == UInt8(ascii: "[") else { throw Failure.malformed }
            place = .between
        case .between:
            if isSpace { return }
            if byte == UInt8(ascii: "]") {
                guard !mustFollow else { throw Failure.malformed }
                place = .after
                return
            }
            place = .inItem
            try addToItem(byte, each)
        case .inItem: try addToItem(byte, each)
        case .after: guard isSpace else { throw Failure.malformed }
        }
    }

    private mutating func addToItem(_ byte: UInt8, _ each: ([UInt8]) throws -> Void) throws {
        if isInString {
            if isEscaped {
                isEscaped = false
            } else if byte == UInt8(ascii: "\\") {
                isEscaped = true
            } else if byte == UInt8(ascii: "\"") {
                isInString = false
            }
        } else {
            switch byte {
            case UInt8(ascii: "\""): isInString = true
            case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
            case UInt8(ascii: ","), UInt8(ascii: "]"):
                if depth == 0 {
                    mustFollow = byte == UInt8(ascii: ",")
                    place = mustFollow ? .between : .after
                    return try end(each)
                }
                if byte == UInt8(ascii: "]") { depth -= 1 }
            case UInt8(ascii: "}"): depth -= 1
            default: break
            }
        }
        try append(byte)
    }

    private mutating func append(_ byte: UInt8) throws(Failure) {
        guard item.count < itemLimit else { throw .tooLong }
        item.append(byte)
    }
}
