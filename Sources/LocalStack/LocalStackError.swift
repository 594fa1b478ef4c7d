/// Why a private server could not be started.
package struct LocalStackError: Error, CustomStringConvertible {
    /// What went wrong; the part that callers switch over.
    package enum Code: String, Sendable {
        /// A program of the stack is not installed.
        case programMissing
        /// Another process uses the data folder.
        case folderInUse
        /// The server ended, or was not ready in time.
        case notReady
        /// The data folder cannot be used.
        case badFolder
    }

    package let code: Code
    /// One line that says what happened, to what, and what to do.
    package let description: String
}
