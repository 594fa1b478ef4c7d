import Holdfast

/// A submission whose fields cannot be accepted, all of them named.
struct InvalidSubmission: Error, CustomStringConvertible {
    let fields: [InvalidField]

    var description: String { fields.map(\.description).joined(separator: "; ") }
}
