#if canImport(SwiftUI)
import Accelerate
import EdgeKitCore
import ImageIO

/// Decodes pictures as the SDK does: 8 bits a channel, colour profiles ignored, transparency not premultiplied, and the
/// EXIF orientation left to the preprocessing.
enum PictureReader {
    // As bytes and turned, a picture is held several times over; larger ones are halved while they are decoded.
    private static let mostPixels = 12_000_000

    static func read(_ data: Data) throws -> Picture {
        let unreadable = Failure(.badPicture, ["reason": "it is in no format that this phone knows, or was cut off"])
        guard let source = CGImageSourceCreateWithData(data as CFData, nil) else { throw unreadable }
        let properties = CGImageSourceCopyPropertiesAtIndex(source, 0, nil) as? [CFString: Any]
        let width = properties?[kCGImagePropertyPixelWidth] as? Int ?? 0
        let height = properties?[kCGImagePropertyPixelHeight] as? Int ?? 0
        var factor = 1
        while width / factor * (height / factor) > mostPixels && factor < 8 { factor *= 2 }
        let options: [CFString: Any] = factor == 1 ? [:] : [kCGImageSourceSubsampleFactor: factor]
        guard let image = CGImageSourceCreateImageAtIndex(source, 0, options as CFDictionary) else { throw unreadable }
        return try pixels(image, orientation: properties?[kCGImagePropertyOrientation] as? Int ?? 1)
    }

    /// The pixels of a picture, as they are stored.
    static func pixels(_ image: CGImage, orientation: Int = 1) throws -> Picture {
        let opaque = [.none, .noneSkipFirst, .noneSkipLast].contains(image.alphaInfo)
        let grey = image.colorSpace?.model == .monochrome && opaque
        let space: CGColorSpace? =
            switch image.colorSpace?.model {
            // The picture's own space: no profile is applied on the way.
            case .monochrome where grey: image.colorSpace
            case .rgb: image.colorSpace
            default: CGColorSpace(name: CGColorSpace.sRGB)
            }
        let channels = grey ? 1 : 4
        guard let space,
              let format = vImage_CGImageFormat(
                  bitsPerComponent: 8, bitsPerPixel: 8 * channels, colorSpace: space,
                  bitmapInfo: CGBitmapInfo(rawValue: grey ? CGImageAlphaInfo.none.rawValue : CGImageAlphaInfo.last.rawValue)),
              let buffer = try? vImage_Buffer(cgImage: image, format: format) else {
            throw Failure(.badPicture, ["reason": "its pixels are of a kind that cannot be converted"])
        }
        defer { buffer.free() }
        let width = Int(buffer.width), height = Int(buffer.height)
        var pixels: [UInt8] = []
        pixels.reserveCapacity(width * height * channels)
        for row in 0..<height {
            pixels += UnsafeRawBufferPointer(start: buffer.data + row * buffer.rowBytes, count: width * channels)
        }
        guard let picture = Picture(width: width, height: height, channels: channels, pixels: pixels, orientation: orientation) else {
            throw Failure(.badPicture, ["reason": "it is empty"])
        }
        return picture
    }
}
#endif
