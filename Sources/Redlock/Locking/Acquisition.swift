/// How one try for a lock ended.
package enum Acquisition: Sendable {
    /// A quorum voted for it, with validity left.
    case granted(Hold)
    /// A quorum can't be had while another holds it.
    case held([Vote])
    /// Too few nodes answered, or too late for any validity, or the caller was cancelled.
    case noQuorum([Vote])
}
