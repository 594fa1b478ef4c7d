import NIOCore
import Synchronization
import TestSupport

/// Counts what clients say to PostgreSQL, on its way there.
///
/// - Source: "Frontend/Backend Protocol" in PostgreSQL's documentation.
final class WireCount: Sendable {
    /// What a connection said from one idle moment to the next: a transaction, or a statement alone.
    struct Unit: Sendable, Hashable {
        /// The statements' names, or their text where they have none, in order.
        var statements: [String] = []
        /// How often the server was asked for an answer to them.
        var roundTrips = 0
    }

    fileprivate struct Conversation: Sendable {
        var requests = MessageReader(hasStartup: true)
        var replies = MessageReader(hasStartup: false)
        var bound = ""
        var parsed = ""
        var unit = Unit()
        var isWaiting = false
    }

    private struct State {
        var conversations: [ObjectIdentifier: Conversation] = [:]
        var units: [Unit] = []
    }

    private let state = Mutex(State())

    /// Takes in what was said.
    func add(_ piece: TestProxy.Piece) {
        let client = ObjectIdentifier(piece.isRequest ? piece.from : piece.to)
        state.withLock { state in
            var conversation = state.conversations[client] ?? Conversation()
            if piece.isRequest {
                conversation.requests.add(piece.bytes)
                while let message = conversation.requests.next() { conversation.said(message) }
            } else {
                conversation.replies.add(piece.bytes)
                while let message = conversation.replies.next() {
                    if let unit = conversation.answered(message) { state.units.append(unit) }
                }
            }
            state.conversations[client] = conversation
        }
    }

    /// Takes out what was counted since the last time.
    func take() -> [Unit] {
        state.withLock { state in
            defer { state.units = [] }
            return state.units
        }
    }
}

extension WireCount.Conversation {
    fileprivate mutating func said(_ message: MessageReader.Message) {
        var body = message.body
        switch message.type {
        case "Q":
            unit.statements.append(body.readNullTerminatedString() ?? "")
            unit.roundTrips += 1
        case "P":
            _ = body.readNullTerminatedString()
            parsed = body.readNullTerminatedString() ?? ""
        case "B":
            _ = body.readNullTerminatedString()
            // What this connection calls it: the statement's name and a number.
            let name = body.readNullTerminatedString() ?? ""
            bound = name.isEmpty ? parsed : String(name.prefix { $0 != "/" })
        case "E":
            unit.statements.append(bound)
            isWaiting = true
        case "S":
            // One that only prepares is there once for each connection.
            if isWaiting { unit.roundTrips += 1 }
            isWaiting = false
        default: break
        }
    }

    /// - Returns: What has ended with this: the server is ready, and in no transaction.
    fileprivate mutating func answered(_ message: MessageReader.Message) -> WireCount.Unit? {
        guard message.type == "Z", message.body.readableBytesView.first == UInt8(ascii: "I"), !unit.statements.isEmpty
        else { return nil }
        defer { unit = WireCount.Unit() }
        return unit
    }
}

/// Takes messages out of one direction of a connection.
struct MessageReader: Sendable {
    struct Message {
        let type: Unicode.Scalar
        let body: ByteBuffer
    }

    private var bytes = ByteBuffer()
    /// Whether the next message is the first of a client, which has no type.
    private var hasStartup: Bool

    init(hasStartup: Bool) { self.hasStartup = hasStartup }

    mutating func add(_ piece: ByteBuffer) {
        bytes.writeImmutableBuffer(piece)
    }

    /// The next message that is whole; `nil` when there is none.
    mutating func next() -> Message? {
        let head = hasStartup ? 0 : 1
        guard let length = bytes.getInteger(at: bytes.readerIndex + head, as: UInt32.self),
            bytes.readableBytes >= head + Int(length),
            let type = hasStartup ? UInt8(ascii: "-") : bytes.readInteger(as: UInt8.self),
            bytes.readInteger(as: UInt32.self) != nil, let body = bytes.readSlice(length: Int(length) - 4)
        else { return nil }
        hasStartup = false
        bytes.discardReadBytes()
        return Message(type: Unicode.Scalar(type), body: body)
    }
}
