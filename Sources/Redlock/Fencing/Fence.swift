/// A number that guards what is written under a hold: whoever acquired later has a higher one.
public struct Fence: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The number.
    public let rawValue: Int64

    /// Takes a number from a ``FenceSource``.
    public init(_ rawValue: Int64) { self.rawValue = rawValue }

    /// In decimal digits.
    public var description: String { String(rawValue) }

    /// Lower was drawn earlier.
    public static func < (one: Fence, other: Fence) -> Bool { one.rawValue < other.rawValue }
}
