// The peer scimmy-routers: Express, resources in a Map, handlers as its documentation shows. PORT TOKEN
import express from "express";
import { randomUUID } from "node:crypto";
import SCIMMY from "scimmy";
import SCIMMYRouters from "scimmy-routers";

const [port, token] = process.argv.slice(2);

function keepInMemory(type, uniqueName) {
    const kept = new Map();
    const idOf = new Map();

    const find = (id) => {
        const found = kept.get(id);
        if (!found) throw new SCIMMY.Types.Error(404, null, `Resource ${id} not found`);
        return found;
    };

    SCIMMY.Resources.declare(type)
        .ingress((resource, data) => {
            const before = resource.id ? find(resource.id) : undefined;
            const id = before?.id ?? randomUUID();
            const key = uniqueName && data[uniqueName].toLowerCase();
            if (key && idOf.has(key) && idOf.get(key) !== id) {
                throw new SCIMMY.Types.Error(409, "uniqueness", `${uniqueName} is in use`);
            }
            const now = new Date().toISOString();
            const meta = { created: before?.meta.created ?? now, lastModified: now };
            const after = { ...JSON.parse(JSON.stringify(data)), id, meta };
            kept.set(id, after);
            if (key) idOf.set(key, id);
            return after;
        })
        .egress((resource) => {
            if (resource.id) return find(resource.id);
            const all = [...kept.values()];
            return resource.filter ? resource.filter.match(all) : all;
        })
        .degress((resource) => {
            find(resource.id);
            kept.delete(resource.id);
        });
}

SCIMMY.Resources.User.extend(SCIMMY.Schemas.EnterpriseUser);
keepInMemory(SCIMMY.Resources.User, "userName");
keepInMemory(SCIMMY.Resources.Group);

const app = express();
app.use("/scim/v2", new SCIMMYRouters({
    type: "bearer",
    handler: (request) => {
        if (request.header("Authorization") !== `Bearer ${token}`) throw new Error("Authorization not detected!");
        return "bench";
    },
}));
app.listen(Number(port), "127.0.0.1");
