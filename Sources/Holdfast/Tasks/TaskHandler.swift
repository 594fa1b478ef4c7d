/// The code that runs a kind of job, under a hold on the job's key.
///
/// ```swift
/// struct SendInvoice: TaskHandler {
///     static let kind = "sendInvoice"
///
///     struct Payload: Decodable { var number: Int; var address: String }
///
///     func run(_ invoice: Payload, _ context: TaskContext) async throws {
///         context.logger.info("Invoice \(invoice.number) goes to \(invoice.address)")
///     }
/// }
/// ```
public protocol TaskHandler<Payload>: Sendable {
    /// What a job's value holds, as JSON.
    associatedtype Payload: Decodable

    /// The kind of job that it runs: 1 to 128 bytes.
    static var kind: String { get }

    /// Reads a job's value; as JSON, unless a handler says otherwise.
    ///
    /// - Throws: Why it cannot be read: the job fails for good then.
    static func payload(of value: String) throws -> Payload

    /// Runs one attempt. Its task is cancelled when its hold is about to end, when the job is cancelled, and at shutdown.
    ///
    /// - Throws: ``TaskEnd`` to say what is to become of the job; anything else fails the attempt, and the job is tried
    ///   again after a backoff.
    func run(_ payload: Payload, _ context: TaskContext) async throws
}
