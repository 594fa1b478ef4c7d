import HTTPTypes
import Hummingbird
import NIOCore

/// The pages for people.
///
/// A page has no data: its script fetches that from `/v1`, with the token that the reader enters where one is asked for.
enum Dashboard {
    /// Nothing but our own files, and no script of any other kind: what a key or a value says is never one.
    private static let contentSecurityPolicy = """
        default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
        form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'
        """

    static func add(to router: some RouterMethods<IntakeContext>) {
        for (path, file) in DashboardFiles.pages + DashboardFiles.parts {
            router.get(RouterPath(path)) { request, _ in answer(request, file) }
        }
    }

    private static func answer(_ request: Request, _ file: DashboardFile) -> Response {
        let headers: HTTPFields = [
            .contentType: file.type,
            .contentSecurityPolicy: contentSecurityPolicy,
            .xContentTypeOptions: "nosniff",
            // A key may be in the address.
            HTTPField.Name("Referrer-Policy")!: "no-referrer",  // A valid name.
            // Another version of the program has other files.
            .cacheControl: "no-cache",
            .eTag: file.tag,
        ]
        if request.headers[.ifNoneMatch] == file.tag { return Response(status: .notModified, headers: headers) }
        return Response(status: .ok, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(bytes: file.bytes)))
    }
}
