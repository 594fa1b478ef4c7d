import Hummingbird
import NIOCore

/// The description of the API that the program carries.
package enum OpenAPIDocument {
    /// In YAML.
    package static let yaml = String(decoding: PackageResources.openapi_yaml, as: UTF8.self)

    /// Serves it.
    static func add(to router: some RouterMethods<IntakeContext>) {
        router.get("openapi.yaml") { _, _ in
            Response(
                status: .ok,
                headers: [.contentType: "application/yaml", .cacheControl: "max-age=300"],
                body: ResponseBody(byteBuffer: ByteBuffer(bytes: PackageResources.openapi_yaml))
            )
        }
    }
}
