/// The trace context that a submitter sent along.
///
/// - Source: W3C Trace Context, section 3.2.
package struct TraceParent: Sendable {
    private static let maximumBytes = 128

    /// 32 hexadecimal digits; the trace that the submission is a part of.
    package let traceID: String

    /// - Returns: `nil` when it is none: a bad one is as none.
    package init?(_ text: String) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard text.utf8.count <= Self.maximumBytes, parts.count >= 4,
            parts.prefix(4).map(\.utf8.count) == [2, 32, 16, 2],
            parts.prefix(4).allSatisfy({ $0.utf8.allSatisfy(Self.isDigit) }),
            parts[0] != "ff", parts[1].contains(where: { $0 != "0" }), parts[2].contains(where: { $0 != "0" })
        else { return nil }
        traceID = String(parts[1])
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte) }
}
