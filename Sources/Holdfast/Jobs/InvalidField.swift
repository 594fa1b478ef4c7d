/// A field of a submission that cannot be accepted.
package struct InvalidField: Error, Sendable, CustomStringConvertible {
    /// The field, as the API spells it; empty for all of what was sent.
    package let name: String
    /// What the field must be, as the predicate of a sentence.
    package let reason: String

    package init(_ name: String, _ reason: String) {
        self.name = name
        self.reason = reason
    }

    package var description: String { name.isEmpty ? reason : "\(name) \(reason)" }
}
