# A specification, as resolve.py writes it, becomes derivations; `machine` is the root of the closure.
{ spec }:
let
  inherit (builtins) attrNames concatStringsSep elem filter fromJSON getAttr hasAttr head isList listToAttrs mapAttrs readFile split toJSON;
  given = fromJSON (readFile spec);
  builder = builtins.path { name = "builder"; path = ./builder; filter = path: type: builtins.match ".*\\.py" path != null; };
  build = name: kind: specification: attributes: derivation ({
    inherit name kind;
    system = "x86_64-linux";
    builder = "/usr/bin/python3";
    args = [ "-B" "-s" "${builder}/builder.py" ];
    PATH = "/usr/bin:/bin:/usr/sbin:/sbin";
    LC_ALL = "C";
    spec = toJSON specification;
    passAsFile = [ "spec" ];
  } // attributes);
  # A package of the archive by the digest that the archive's signed list has of it, so the same anywhere.
  deb = file: "${builtins.path { inherit (file) path name sha256; recursive = false; }}";
  chosen = names: listToAttrs (map (name: { inherit name; value = "${getAttr name packages}"; }) names);

  packages = mapAttrs (self: package: build package.name "package" {
    inherit self;
    inherit (package) sonames paths python;
    debs = map deb package.debs;
    deps = chosen package.deps;
  } package.attributes) given.packages;

  hasKernel = given.kernel != null;
  kernel = build given.kernel.name "kernel" {
    inherit (given.kernel) version keep drop always;
    deb = deb given.kernel.deb;
    kmod = "${packages.kmod}";
  } { };
  initrd = build "initrd-${given.kernel.name}" "initrd" ({
    inherit (given.kernel) version;
    modules = given.kernel.always;
    kernel = "${kernel}";
  } // chosen [ "e2fsprogs" "kmod" "libc6" ] // { busybox = "${packages.busybox-static}"; }) { };

  # Texts mention packages as @name@, and each other as @text:name@.
  mention = name:
    if hasAttr name packages then "${getAttr name packages}"
    else if builtins.match "text:.*" name != null then "${getAttr (builtins.substring 5 (-1) name) texts}"
    else throw "a text mentions @${name}@, which is neither a package nor a text";
  filled = text: concatStringsSep "" (map (part: if isList part then mention (head part) else part) (split "@([a-z0-9.+:_-]+)@" text));
  # A unit is a file in a store path of its own, a configuration file is one itself: as in NixOS.
  texts = mapAttrs (name: text: build (if text.unit then "unit-${name}" else name) "text" {
    text = filled text.text;
    inherit (text) executable;
    name = if text.unit then name else "";
  } { }) given.texts;
  textPath = name: let path = "${getAttr name texts}"; in if (getAttr name given.texts).unit then "${path}/${name}" else path;

  system = name: description: let
    links = paths: mapAttrs (_: filled) paths;
    units = filter (text: (getAttr text given.texts).unit) description.texts;
    unitLinks = build "system-units" "tree" {
      files = { };
      links = listToAttrs (builtins.concatLists (map (unit: [
        { name = unit; value = textPath unit; }
        { name = "multi-user.target.wants/${unit}"; value = "../${unit}"; }
      ]) units));
    } { };
    etc = build "etc" "tree" {
      files = { "hostname" = [ "${name}\n" false ]; };
      links = links description.etc // { "systemd/system" = "${unitLinks}"; }
        // listToAttrs (map (text: { name = (getAttr text given.texts).etc; value = textPath text; })
          (filter (text: (getAttr text given.texts).etc != "") description.texts));
    } { };
    path = build "system-path" "forest" {
      directories = [ "bin" "share" ];
      paths = map (package: "${getAttr package packages}") description.packages;
    } { };
  in build "system-${name}" "tree" {
    links = { inherit etc; sw = path; }
      // (if hasKernel then { kernel = "${kernel}/bzImage"; kernel-modules = "${kernel}"; initrd = "${initrd}/initrd"; } else { });
    files = {
      "init" = [ (filled description.init) true ];
      "kernel-params" = [ "console=ttyS0 loglevel=4\n" false ];
    };
  } { };
  systems = mapAttrs system given.systems;
  machine = build "machine" "tree" {
    files = { };
    links = listToAttrs (map (name: { name = "systems/${name}"; value = "${getAttr name systems}"; }) (attrNames systems));
  } { };
in { inherit machine packages texts systems; }
