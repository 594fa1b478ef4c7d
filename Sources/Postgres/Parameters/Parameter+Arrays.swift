extension Parameter {
    package static func int64s(_ values: [Int64]) -> Parameter {
        array(PostgresType.int8Array, of: PostgresType.int8, values.lazy.map(Optional.some))
    }

    package static func optionalInt64s(_ values: [Int64?]) -> Parameter {
        array(PostgresType.int8Array, of: PostgresType.int8, values)
    }

    package static func int32s(_ values: [Int32]) -> Parameter {
        array(PostgresType.int4Array, of: PostgresType.int4, values.lazy.map(Optional.some))
    }

    package static func optionalInt32s(_ values: [Int32?]) -> Parameter {
        array(PostgresType.int4Array, of: PostgresType.int4, values)
    }

    package static func int16s(_ values: [Int16]) -> Parameter {
        array(PostgresType.int2Array, of: PostgresType.int2, values.lazy.map(Optional.some))
    }

    package static func bools(_ values: [Bool]) -> Parameter {
        array(PostgresType.boolArray, of: PostgresType.bool, values.lazy.map { UInt8($0 ? 1 : 0) })
    }

    package static func doubles(_ values: [Double]) -> Parameter {
        array(PostgresType.float8Array, of: PostgresType.float8, values.lazy.map(\.bitPattern))
    }

    package static func optionalDoubles(_ values: [Double?]) -> Parameter {
        array(PostgresType.float8Array, of: PostgresType.float8, values.lazy.map { $0?.bitPattern })
    }

    package static func timestamps(_ values: [PostgresTimestamp]) -> Parameter {
        array(PostgresType.timestamptzArray, of: PostgresType.timestamptz, values.lazy.map(\.sinceMillennium))
    }

    package static func optionalTimestamps(_ values: [PostgresTimestamp?]) -> Parameter {
        array(PostgresType.timestamptzArray, of: PostgresType.timestamptz, values.lazy.map { $0?.sinceMillennium })
    }

    package static func texts(_ values: [String]) -> Parameter {
        textArray(PostgresType.textArray, of: PostgresType.text, values)
    }

    package static func optionalTexts(_ values: [String?]) -> Parameter {
        textArray(PostgresType.textArray, of: PostgresType.text, values)
    }

    /// JSON texts, which the server checks.
    package static func jsonbs(_ values: [String?]) -> Parameter {
        // Each begins with the format's version.
        textArray(PostgresType.jsonbArray, of: PostgresType.jsonb, values, prefix: 1)
    }

    private static func array<Element: FixedWidthInteger>(
        _ type: UInt32,
        of element: UInt32,
        _ values: some Collection<Element?>
    ) -> Parameter {
        let capacity = values.count * (4 + MemoryLayout<Element>.size)
        var writer = ArrayWriter(element: element, count: values.count, capacity: capacity)
        for value in values { writer.append(value) }
        return Parameter(type: type, bytes: writer.finished())
    }

    private static func textArray(
        _ type: UInt32,
        of element: UInt32,
        _ values: [String?],
        prefix: UInt8? = nil
    ) -> Parameter {
        let capacity = values.reduce(0) { $0 + 5 + ($1?.utf8.count ?? 0) }
        var writer = ArrayWriter(element: element, count: values.count, capacity: capacity)
        var holdsNUL = false
        for value in values {
            writer.append(value, prefix: prefix)
            holdsNUL = holdsNUL || value?.utf8.contains(0) == true
        }
        return Parameter(type: type, bytes: writer.finished(), holdsNUL: holdsNUL)
    }
}
