/// A decoded picture: bytes of shape (height, width, channels), before its EXIF orientation is applied.
public struct Picture: Sendable {
    public let width: Int
    public let height: Int
    /// 1: grey, 3: RGB, 4: RGBA, not premultiplied.
    public let channels: Int
    public let pixels: [UInt8]
    /// What EXIF says, 1 to 8.
    public let orientation: Int

    /// Returns nil if the pixels are not as many as the sizes say.
    public init?(width: Int, height: Int, channels: Int, pixels: [UInt8], orientation: Int = 1) {
        guard width > 0, height > 0, [1, 3, 4].contains(channels), pixels.count == width * height * channels else { return nil }
        self.width = width
        self.height = height
        self.channels = channels
        self.pixels = pixels
        self.orientation = 1...8 ~= orientation ? orientation : 1
    }
}

/// Turns a picture into a batch of one input, exactly as `edgekit/data/preprocess.py` describes it step by step.
public func preprocess(_ picture: Picture, _ spec: Preprocessing, name: String) -> Tensor {
    let wanted = spec.resize
    var planes = flattened(picture, spec)
    let box = cropBox(width: planes.width, height: planes.height, wanted)
    planes = planes.cropped(box)
    planes = planes.width == wanted.width ? planes : resampled(planes, to: wanted.width, filter: wanted.filter, rows: true)
    planes = planes.height == wanted.height ? planes : resampled(planes, to: wanted.height, filter: wanted.filter, rows: false)
    return normalized(planes, spec, name: name)
}

/// Bytes of shape (height, width, channels), in the orientation of a person who looks at them.
struct Pixels {
    var width: Int
    var height: Int
    var channels: Int
    var bytes: [UInt8]

    func cropped(_ box: (left: Int, top: Int, width: Int, height: Int)) -> Pixels {
        if box.width == width && box.height == height { return self }
        var kept: [UInt8] = []
        kept.reserveCapacity(box.width * box.height * channels)
        for row in box.top..<box.top + box.height {
            let start = (row * width + box.left) * channels
            kept += bytes[start..<start + box.width * channels]
        }
        return Pixels(width: box.width, height: box.height, channels: channels, bytes: kept)
    }
}

/// Turns the picture upright, lays transparent pixels over the background, and brings it to grey or RGB.
private func flattened(_ picture: Picture, _ spec: Preprocessing) -> Pixels {
    let swaps = picture.orientation >= 5
    let width = swaps ? picture.height : picture.width, height = swaps ? picture.width : picture.height
    let channels = spec.channels
    var bytes = [UInt8](repeating: 0, count: width * height * channels)
    for y in 0..<height {
        for x in 0..<width {
            let (column, row) = source(x, y, picture)
            let at = (row * picture.width + column) * picture.channels
            let (red, green, blue) = rgb(picture, at, spec.background)
            let to = (y * width + x) * channels
            if channels == 1 {
                bytes[to] = UInt8((19595 * red + 38470 * green + 7471 * blue + 32768) >> 16)
            } else {
                bytes[to] = UInt8(red)
                bytes[to + 1] = UInt8(green)
                bytes[to + 2] = UInt8(blue)
            }
        }
    }
    return Pixels(width: width, height: height, channels: channels, bytes: bytes)
}

/// Where in the stored picture the upright picture's pixel (x, y) lies.
private func source(_ x: Int, _ y: Int, _ picture: Picture) -> (column: Int, row: Int) {
    let right = picture.width - 1, bottom = picture.height - 1
    return switch picture.orientation {
    case 2: (right - x, y)
    case 3: (right - x, bottom - y)
    case 4: (x, bottom - y)
    case 5: (y, x)
    case 6: (y, bottom - x)
    case 7: (right - y, bottom - x)
    case 8: (right - y, x)
    default: (x, y)
    }
}

private func rgb(_ picture: Picture, _ at: Int, _ background: Int) -> (Int, Int, Int) {
    let pixels = picture.pixels
    if picture.channels == 1 {
        let grey = Int(pixels[at])
        return (grey, grey, grey)
    }
    let (red, green, blue) = (Int(pixels[at]), Int(pixels[at + 1]), Int(pixels[at + 2]))
    if picture.channels == 3 { return (red, green, blue) }
    let alpha = Int(pixels[at + 3])
    return (over(red, alpha, background), over(green, alpha, background), over(blue, alpha, background))
}

/// A transparent pixel over a background, in integers.
private func over(_ value: Int, _ alpha: Int, _ background: Int) -> Int {
    let t = (value * alpha + background * (255 - alpha) + 128) << 7
    return (((t >> 8) + t) >> 8) >> 7
}

/// The part of a picture that is kept: for `cover` the largest centred box with the aspect that is wanted.
func cropBox(width: Int, height: Int, _ resize: Preprocessing.Resize) -> (left: Int, top: Int, width: Int, height: Int) {
    if resize.mode == .stretch { return (0, 0, width, height) }
    if width * resize.height > height * resize.width {
        let kept = max(1, (2 * height * resize.width + resize.height) / (2 * resize.height))
        return ((width - kept) / 2, 0, kept, height)
    }
    let kept = max(1, (2 * width * resize.height + resize.width) / (2 * resize.width))
    return (0, (height - kept) / 2, width, kept)
}

/// Scale, mean, standard deviation and the order of the axes; every step and every constant is rounded to float32.
private func normalized(_ picture: Pixels, _ spec: Preprocessing, name: String) -> Tensor {
    let channels = picture.channels, area = picture.width * picture.height
    let scale = Float(spec.scale)
    let mean = (0..<channels).map { Float(spec.mean[spec.mean.count == 1 ? 0 : $0]) }
    let std = (0..<channels).map { Float(spec.std[spec.std.count == 1 ? 0 : $0]) }
    var floats = [Float](repeating: 0, count: area * channels)
    for pixel in 0..<area {
        for channel in 0..<channels {
            let from = spec.color == .bgr ? channels - 1 - channel : channel
            let value = (Float(picture.bytes[pixel * channels + from]) * scale - mean[channel]) / std[channel]
            floats[spec.layout == .nchw ? channel * area + pixel : pixel * channels + channel] = value
        }
    }
    let sizes = [picture.height, picture.width]
    return Tensor(name: name, shape: spec.layout == .nchw ? [1, channels] + sizes : [1] + sizes + [channels], floats: floats)
}
