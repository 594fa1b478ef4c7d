import Holdfast

/// A submission whose fields cannot be accepted, all of them named.
struct InvalidSubmission: Error {
    let fields: [InvalidField]
}
