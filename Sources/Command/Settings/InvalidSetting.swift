/// A setting, wherever it was given, cannot be used; or the database that the settings name is none to work with.
struct InvalidSetting: Error, CustomStringConvertible {
    /// The exit status: EX_CONFIG of sysexits.h.
    ///
    /// A supervisor that sees it need not try again.
    static let exitStatus: Int32 = 78

    /// Which, and what to do.
    let description: String

    init(_ description: String) { self.description = description }
}
