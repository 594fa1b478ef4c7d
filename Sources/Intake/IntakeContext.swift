import Hummingbird

/// What accompanies a request.
struct IntakeContext: RequestContext {
    /// The most bytes of a body: a value of 1 MiB, however it is escaped, fits.
    static let bodyLimit = 8 << 20

    var coreContext: CoreRequestContextStorage
    /// Who asks.
    var client = Client.anyone
    var maxUploadSize: Int { Self.bodyLimit }

    init(source: ApplicationRequestContextSource) {
        coreContext = CoreRequestContextStorage(source: source)
        OpenConnection.current?.serveNext()
    }
}
