/// Writes an array of one dimension as the server reads it in binary.
///
/// - Source: `array_recv` in `src/backend/utils/adt/arrayfuncs.c` of PostgreSQL.
struct ArrayWriter {
    private var bytes: [UInt8] = []
    private var holdsNull = false

    /// Begins an array.
    ///
    /// - Parameters:
    ///   - element: The elements' type.
    ///   - count: How many there will be.
    ///   - capacity: About how many bytes they take with their lengths.
    init(element: UInt32, count: Int, capacity: Int) {
        bytes.reserveCapacity(20 + capacity)
        append(integer: Int32(count == 0 ? 0 : 1))  // Dimensions: an empty array has none.
        append(integer: Int32(0))  // Whether there are NULLs, set in the end.
        append(integer: element)
        guard count > 0 else { return }
        append(integer: Int32(count))
        append(integer: Int32(1))  // Where indices begin.
    }

    /// Appends an element; `nil` for NULL.
    mutating func append(_ value: (some FixedWidthInteger)?) {
        guard let value else { return appendNull() }
        append(integer: Int32(value.bitWidth / 8))
        append(integer: value)
    }

    /// Appends text behind a prefix of the format's; `nil` for NULL.
    mutating func append(_ value: String?, prefix: UInt8?) {
        guard let value else { return appendNull() }
        append(integer: Int32(value.utf8.count + (prefix == nil ? 0 : 1)))
        if let prefix { bytes.append(prefix) }
        bytes.append(contentsOf: value.utf8)
    }

    /// The whole array.
    consuming func finished() -> [UInt8] {
        if holdsNull { bytes[7] = 1 }
        return bytes
    }

    private mutating func appendNull() {
        holdsNull = true
        append(integer: Int32(-1))
    }

    private mutating func append(integer: some FixedWidthInteger) {
        withUnsafeBytes(of: integer.bigEndian) { bytes.append(contentsOf: $0) }
    }
}
