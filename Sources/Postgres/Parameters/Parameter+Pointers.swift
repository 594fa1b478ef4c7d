extension [Parameter] {
    /// Lends the parameters in the form in which libpq takes them: pointers (null for NULL), lengths, and formats
    /// (1: binary).
    func withPointers<Value>(
        _ body: (_ values: [UnsafePointer<CChar>?], _ lengths: [Int32], _ formats: [Int32]) -> Value
    ) -> Value {
        var values: [UnsafePointer<CChar>?] = []
        values.reserveCapacity(count)
        let lengths = map { Int32($0.bytes?.count ?? 0) }
        let formats = [Int32](repeating: 1, count: count)
        return self[...].appendPointers(to: &values) { body($0, lengths, formats) }
    }
}

extension ArraySlice<Parameter> {
    /// Each array's pointer holds within its closure only, so they are nested.
    fileprivate func appendPointers<Value>(
        to values: inout [UnsafePointer<CChar>?],
        _ body: ([UnsafePointer<CChar>?]) -> Value
    ) -> Value {
        guard let first else { return body(values) }
        guard let bytes = first.bytes else {
            values.append(nil)
            return dropFirst().appendPointers(to: &values, body)
        }
        // An empty array may have no pointer, and null would mean NULL.
        let kept = bytes.isEmpty ? [0] : bytes
        return kept.withUnsafeBytes {
            values.append($0.baseAddress?.assumingMemoryBound(to: CChar.self))
            return dropFirst().appendPointers(to: &values, body)
        }
    }
}
