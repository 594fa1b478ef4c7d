/// Something that happened, once or more, since it was last looked at.
struct Signal: Sendable {
    /// An element for one or more calls of ``send()``; for one reader.
    let stream: AsyncStream<Void>
    private let continuation: AsyncStream<Void>.Continuation

    init() { (stream, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1)) }

    func send() { continuation.yield() }
}
