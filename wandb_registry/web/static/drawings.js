// Draws the content of one file in a sandboxed frame, with the library that the frame has loaded. The frame has no origin and no
// network, and its policy lets no text become a script, so that nothing which the file says is ever run.
"use strict";
(() => {
  const box = document.getElementById("drawing");
  const { kind, ending } = box.dataset;
  const bytes = Uint8Array.from(atob(document.getElementById("content").textContent.trim()), (letter) => letter.charCodeAt(0));
  const text = () => new TextDecoder().decode(bytes);
  // JSON as Python writes it: numbers that JSON lacks have no place in a drawing.
  const json = () => JSON.parse(text().replace(/(?<=[[,:\s])(-?Infinity|NaN)(?=[\],}\s])/g, "null"));

  function say(sentence, ...classes) {
    const line = Object.assign(document.createElement("p"), { textContent: sentence });
    line.classList.add(...classes);
    document.body.append(line);
  }

  async function plotly() {
    const figure = json();
    const known = Plotly.PlotSchema.get().traces;
    const lacking = [...new Set((figure.data ?? []).map((trace) => trace.type ?? "scatter").filter((type) => !(type in known)))];
    if (lacking.length) say(`Not drawn here: ${lacking.join(", ")}.`, "note");
    const drawn = (figure.data ?? []).filter((trace) => !lacking.includes(trace.type ?? "scatter"));
    const layout = { ...figure.layout, autosize: true };
    delete layout.width;
    delete layout.height;
    await Plotly.newPlot(box, { data: drawn, layout, frames: figure.frames, config: { responsive: true, displaylogo: false } });
  }

  async function bokeh() {
    Bokeh.set_log_level("off");
    const own = Bokeh.Models.CustomJS.prototype; // scripts of the figure itself: the policy refuses them, and they would end its drawing
    own._compile_function = own._compile_module = async () => () => {};
    const figure = json();
    const roots = Array.isArray(figure.roots) ? figure.roots.map((root) => root.id) : figure.roots.root_ids;
    for (const id of roots) box.append(Object.assign(document.createElement("div"), { id: `root-${id}` }));
    const places = Object.fromEntries(roots.map((id) => [id, `root-${id}`]));
    await Bokeh.embed.embed_items({ figure }, [{ docid: "figure", root_ids: roots, roots: places }]);
  }

  function molecule() {
    const viewer = $3Dmol.createViewer(box, { backgroundColor: "white" });
    if (!viewer) throw new Error("this browser has no WebGL");
    const model = viewer.addModel(ending === "mmtf" ? bytes.buffer : text(), { mmcif: "cif", sd: "sdf" }[ending] ?? ending);
    if (!model?.selectedAtoms({}).length) throw new Error("it has no atoms");
    viewer.setStyle({}, { cartoon: { color: "spectrum" }, stick: { radius: 0.14 }, sphere: { scale: 0.22 } });
    viewer.zoomTo();
    viewer.render();
  }

  // ---- charts that a user specified in Vega or Vega-Lite ----

  // A specification in which the columns and texts of this plot stand where it names them: ${field:x}, ${string:title}.
  function filled(spec, fields, strings) {
    const path = (name) => name.replace(/([.[\]\\'"])/g, "\\$1"); // a dot in a column's name is no path
    const column = (role) => {
      if (!(role in fields)) throw new Error(`its chart asks for the field '${role}', and the plot has no column for it`);
      return String(fields[role]);
    };
    const value = (text) => {
      const whole = /^\$\{field:([^}]*)\}$/.exec(text);
      if (whole) return path(column(whole[1]));
      return text.replace(/\$\{(field|string):([^}]*)\}/g, (_, kind, role) => (
        kind === "string" ? String(strings[role] ?? "") : column(role).replace(/(['"\\])/g, "\\$1")));
    };
    const walk = (one) => {
      if (typeof one === "string") return value(one);
      if (Array.isArray(one)) return one.map(walk);
      return one && typeof one === "object" ? Object.fromEntries(Object.entries(one).map(([key, inner]) => [key, walk(inner)])) : one;
    };
    return walk(spec);
  }

  const TABLE = "wandb"; // what a specification calls the logged table

  function compiled(spec, values) {
    if (/\/schema\/vega\//.test(spec.$schema ?? "")) {
      const data = (spec.data ?? []).map((one) => (one.name === TABLE ? { ...one, values, url: undefined } : one));
      return { ...spec, data };
    }
    const single = spec.mark || spec.layer;
    const size = single && spec.width === undefined ? { width: "container", height: spec.height ?? "container", autosize: { type: "fit", contains: "padding" } } : {};
    return vegaLite.compile({ data: { name: TABLE }, ...size, ...spec, datasets: { ...spec.datasets, [TABLE]: values } }).spec;
  }

  async function chart() {
    const { spec, fields, strings } = JSON.parse(box.dataset.about);
    const table = json();
    const names = table.columns.map(String);
    const values = table.data.map((row) => Object.fromEntries(row.map((value, at) => [names[at], value])));
    const refuse = (address) => { say(`Not loaded: ${address}. A chart loads nothing.`, "note"); return Promise.reject(new Error("A chart loads nothing.")); };
    const loader = { ...vega.loader(), load: refuse, sanitize: refuse };
    const drawn = vega.parse(compiled(filled(spec, fields, strings), values), null, { ast: true });
    await new vega.View(drawn, { renderer: "svg", container: box, expr: vega.expressionInterpreter, loader, logLevel: vega.Error }).runAsync();
  }

  // ---- objects in three dimensions ----

  const COLORS = ["#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951", "#ff8ab7", "#a463f2", "#97bbf5", "#9c6b4e", "#9498a0", "#e4572e", "#2e86ab", "#57a773", "#8963ba"];
  const channels = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255);

  function points(rows) {
    const geometry = new THREE.BufferGeometry();
    geometry.setAttribute("position", new THREE.Float32BufferAttribute(rows.flatMap((row) => row.slice(0, 3)), 3));
    const colored = rows[0]?.length > 3;
    if (colored) {
      const shade = (row) => (row.length > 5 ? row.slice(3, 6).map((value) => value / 255) : channels(COLORS[(Math.max(1, Math.round(row[3])) - 1) % COLORS.length]));
      geometry.setAttribute("color", new THREE.Float32BufferAttribute(rows.flatMap(shade), 3));
    }
    return new THREE.Points(geometry, new THREE.PointsMaterial({ size: 3, sizeAttenuation: false, vertexColors: colored, color: colored ? 0xffffff : COLORS[0] }));
  }

  function lines(ends, color) {
    const geometry = new THREE.BufferGeometry();
    geometry.setAttribute("position", new THREE.Float32BufferAttribute(ends.flat(), 3));
    return new THREE.LineSegments(geometry, new THREE.LineBasicMaterial({ color }));
  }

  // The edges of a box whose corners have no order: two corners between which, in the ball that they span, lies no other.
  function edges(corners) {
    const apart = (one, other) => one.reduce((sum, value, at) => sum + (value - other[at]) ** 2, 0);
    const found = [];
    corners.forEach((one, at) => corners.slice(at + 1).forEach((other) => {
      const between = (corner) => corner !== one && corner !== other && apart(one, corner) + apart(corner, other) <= apart(one, other) * 1.001;
      if (!corners.some(between)) found.push(one, other);
    }));
    return found;
  }

  function cloud(scene) {
    const content = json();
    const { points: rows = [], boxes = [], vectors = [] } = Array.isArray(content) ? { points: content } : content;
    if (rows.length) scene.add(points(rows));
    const names = [];
    for (const one of boxes) {
      const [red, green, blue] = (one.color ?? [66, 105, 208]).map((value, _, all) => (Math.max(...all) > 1 ? Math.round(value) : Math.round(value * 255)));
      scene.add(lines(edges(one.corners), `rgb(${red}, ${green}, ${blue})`));
      if (one.label) names.push(one.score === undefined || one.score === null ? one.label : `${one.label} ${one.score}`);
    }
    if (vectors.length) scene.add(lines(vectors.flatMap((one) => [one.start, one.end]), "#333333"));
    if (names.length) say(`Boxes: ${names.join(", ")}`, "note");
  }

  // A glTF may hold its buffers as data: addresses, which would be fetched. The frame fetches nothing, so they are decoded here.
  function keepBuffers() {
    THREE.Cache.enabled = true;
    for (const { uri } of ending === "gltf" ? JSON.parse(text()).buffers ?? [] : []) {
      if (!uri?.startsWith("data:")) continue;
      const [head, body] = uri.split(/,(.*)/s);
      const decoded = head.endsWith(";base64") ? atob(body) : decodeURIComponent(body);
      THREE.Cache.add(`file:${uri}`, Uint8Array.from(decoded, (letter) => letter.charCodeAt(0)).buffer);
    }
    window.createImageBitmap = undefined; // so that textures are loaded as pictures, and not fetched
  }

  // The meshes of a scene in Babylon's format, whose axes are left-handed; its lights, cameras and textures are left out.
  function babylon() {
    const { meshes = [], materials = [], geometries = {} } = json();
    const of = (list, id) => (list ?? []).find((one) => one.id === id);
    const root = new THREE.Scene();
    root.scale.z = -1;
    const made = new Map(meshes.map((mesh) => [mesh.id, babylonMesh(mesh, mesh.positions ? mesh : of(geometries.vertexData, mesh.geometryId), of(materials, mesh.materialId))]));
    for (const { id, parentId } of meshes) (made.get(parentId) ?? root).add(made.get(id));
    const textured = materials.some((one) => one.diffuseTexture || one.albedoTexture);
    if (textured) say("Drawn without its textures.", "note");
    return root;
  }

  function babylonMesh(mesh, shape, material) {
    const geometry = new THREE.BufferGeometry();
    if (shape?.positions) geometry.setAttribute("position", new THREE.Float32BufferAttribute(shape.positions, 3));
    if (shape?.indices) geometry.setIndex(shape.indices);
    if (shape?.normals) geometry.setAttribute("normal", new THREE.Float32BufferAttribute(shape.normals, 3));
    else if (shape?.positions) geometry.computeVertexNormals();
    const channels = material?.diffuse ?? material?.albedo;
    const color = channels ? `rgb(${channels.map((value) => Math.round(value * 255)).join(", ")})` : COLORS[0];
    const made = new THREE.Mesh(geometry, new THREE.MeshStandardMaterial({ color, roughness: 0.7, side: 2 }));
    made.position.fromArray(mesh.position ?? [0, 0, 0]);
    made.scale.fromArray(mesh.scaling ?? [1, 1, 1]);
    if (mesh.rotationQuaternion) made.quaternion.fromArray(mesh.rotationQuaternion);
    else made.rotation.set(...(mesh.rotation ?? [0, 0, 0]), "YXZ");
    made.visible = mesh.isVisible !== false;
    return made;
  }

  async function loaded() {
    if (ending === "babylon") return babylon();
    if (ending === "obj") return new THREE.OBJLoader().parse(text());
    if (ending === "stl") return new THREE.Mesh(new THREE.STLLoader().parse(bytes.buffer), new THREE.MeshStandardMaterial({ color: COLORS[0], roughness: 0.7 }));
    keepBuffers();
    return (await new THREE.GLTFLoader().parseAsync(bytes.buffer, "")).scene;
  }

  async function object() {
    const scene = new THREE.Scene();
    const camera = new THREE.PerspectiveCamera(45, 1, 0.01, 1000);
    if (ending === "pts.json") { camera.up.set(0, 0, 1); cloud(scene); } else scene.add(await loaded());
    const extent = new THREE.Box3().setFromObject(scene);
    if (extent.isEmpty()) throw new Error("it has no points");
    const [center, size] = [extent.getCenter(new THREE.Vector3()), Math.max(extent.getSize(new THREE.Vector3()).length(), 1e-9)];
    Object.assign(camera, { near: size / 1000, far: size * 20 });
    camera.position.copy(center).add(new THREE.Vector3(0.9, ending === "pts.json" ? -0.9 : 0.6, ending === "pts.json" ? 0.6 : 0.9).multiplyScalar(size));
    const light = new THREE.DirectionalLight(0xffffff, 2);
    camera.add(light);
    scene.add(new THREE.AmbientLight(0xffffff, 1.2), camera);
    const renderer = new THREE.WebGLRenderer({ antialias: true, alpha: true });
    box.append(renderer.domElement);
    const controls = new THREE.OrbitControls(camera, renderer.domElement);
    controls.target.copy(center);
    const draw = () => renderer.render(scene, camera);
    const fit = () => {
      camera.aspect = box.clientWidth / box.clientHeight;
      camera.updateProjectionMatrix();
      renderer.setPixelRatio(devicePixelRatio);
      renderer.setSize(box.clientWidth, box.clientHeight);
      draw();
    };
    controls.addEventListener("change", draw); // nothing moves by itself, so nothing is drawn in between
    new ResizeObserver(fit).observe(box);
    controls.update();
    fit();
  }

  const DRAWN = { plotly, bokeh, molecule, object, chart };

  (async () => {
    try {
      await DRAWN[kind]();
      box.dataset.drawn = "";
    } catch (error) {
      for (const part of [box, ...document.querySelectorAll(".note")]) part.remove();
      say(`This file can't be drawn: ${error.message}. Its download has all of it.`);
    }
  })();
})();
