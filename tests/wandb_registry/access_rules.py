"""Who may do what: the least role for each operation of the schema and each endpoint of the server."""

from __future__ import annotations

STRANGER, VIEWER, MEMBER, ADMIN, OPERATOR = "stranger", "viewer", "member", "admin", "operator"
ROLES = (STRANGER, VIEWER, MEMBER, ADMIN, OPERATOR)

# What every account may ask about itself; the answer depends on nothing else.
OWN_ACCOUNT = {
    "viewer",
    "serverInfo",
    "generateApiKey",
    "deleteApiKey",
    "updateUser",
    "users",
    "challengeBucket",
    "claimContents",
}

# Query fields: a stranger sees what is seen of a thing that doesn't exist; a viewer sees more.
QUERIES = {
    "entity": "entity(name: $team) { organization { name } projects { edges { node { id } } } }",
    "organization": "organization(name: $org) { id }",
    "project": "project(entityName: $team, name: $project) { id runs { edges { node { name } } } }",
    "model": "model(entityName: $team, name: $project) { id bucket(name: $run_name) { id } }",
    "models": "models(entityName: $team) { edges { node { name } } }",
    "artifact": "artifact(id: $artifact) { digest currentManifest { file { directUrl } } }",
    "artifactCollection": "artifactCollection(id: $sequence) { name artifacts { edges { node { id } } } }",
    "clientIDMapping": "clientIDMapping(clientID: $client) { serverID }",
    "contentsToSend": "contentsToSend(entityName: $team, md5s: [$md5_of_own])",
}

# Mutation fields: the least role, and the change.
MUTATIONS = {
    "upsertBucket": (MEMBER, "upsertBucket(input: {id: $run, notes: \"x\"}) { inserted }"),
    "rewindRun": (MEMBER, "rewindRun(input: {runName: $run_name, entityName: $team, projectName: $project, "
                          "metricName: \"_step\", metricValue: 0}) { rewoundRun { id } }"),
    "stopRun": (MEMBER, "stopRun(input: {id: $run}) { success }"),
    "updateRunState": (MEMBER, "updateRunState(input: {id: $run, state: \"pending\"}) { success }"),
    "deleteRun": (MEMBER, "deleteRun(input: {id: $run}) { clientMutationId }"),
    "createRunFiles": (MEMBER, "createRunFiles(input: {entityName: $team, projectName: $project, runName: $run_name, "
                               "files: [\"a\"]}) { runID }"),
    "markRunFilesUploaded": (MEMBER, "markRunFilesUploaded(input: {entityName: $team, projectName: $project, "
                                     "runName: $run_name, files: []}) { success }"),
    "deleteFiles": (MEMBER, "deleteFiles(input: {files: [$file]}) { success }"),
    "notifyScriptableRunAlert": (MEMBER, "notifyScriptableRunAlert(input: {entityName: $team, projectName: $project, "
                                         "runName: $run_name, title: \"t\", text: \"t\"}) { success }"),
    "upsertSweep": (MEMBER, "upsertSweep(input: {id: $sweep, state: \"PAUSED\"}) { sweep { state } }"),
    "createAgent": (MEMBER, "createAgent(input: {host: \"h\", entityName: $team, projectName: $project, "
                            "sweep: $sweep_name}) { agent { id } }"),
    "agentHeartbeat": (MEMBER, "agentHeartbeat(input: {id: $agent}) { commands }"),
    "upsertModel": (ADMIN, "upsertModel(input: {entityName: $orgentity, name: $registry_name, description: \"x\"}) "
                           "{ inserted }"),
    "renameProject": (ADMIN, "renameProject(input: {entityName: $orgentity, oldProjectName: $registry_name, "
                             "newProjectName: \"wandb-registry-renamed\"}) { inserted }"),
    "deleteModel": (ADMIN, "deleteModel(input: {id: $registry}) { success }"),
    "createArtifactType": (MEMBER, "createArtifactType(input: {entityName: $team, projectName: $project, "
                                   "name: \"kind\"}) { artifactType { id } }"),
    "createArtifact": (MEMBER, "createArtifact(input: {entityName: $team, projectName: $project, digest: \"d\", "
                               "artifactTypeName: \"model\", artifactCollectionName: \"new\"}) { artifact { id } }"),
    "createArtifactManifest": (MEMBER, "createArtifactManifest(input: {artifactID: $pending, name: \"m\", "
                                       "digest: \"\", entityName: $team, projectName: $project, runName: $run_name}) "
                                       "{ artifactManifest { id } }"),
    "updateArtifactManifest": (MEMBER, "updateArtifactManifest(input: {artifactManifestID: $manifest, digest: \"d\"}) "
                                       "{ artifactManifest { id } }"),
    "sendContents": (MEMBER, "sendContents(input: {entityName: $team, contents: []}) { success }"),
    "createArtifactFiles": (MEMBER, "createArtifactFiles(input: {artifactFiles: [{artifactID: $pending, name: \"a\", "
                                    "md5: $md5}]}) { files { edges { node { uploadUrl } } } }"),
    "completeMultipartUploadArtifact": (MEMBER, "completeMultipartUploadArtifact(input: {artifactID: $pending, "
                                               "completeMultipartAction: Complete, completedParts: [], "
                                               "storagePath: $stored, uploadID: \"\"}) { digest }"),
    "commitArtifact": (MEMBER, "commitArtifact(input: {artifactID: $artifact}) { artifact { id } }"),
    "updateArtifact": (MEMBER, "updateArtifact(input: {artifactID: $artifact, description: \"x\"}) "
                               "{ artifact { id } }"),
    "useArtifact": (MEMBER, "useArtifact(input: {entityName: $team, projectName: $project, runName: $run_name, "
                            "artifactID: $artifact}) { artifact { id } }"),
    "deleteArtifact": (MEMBER, "deleteArtifact(input: {artifactID: $artifact, deleteAliases: true}) "
                               "{ artifact { id } }"),
    "addAliases": (MEMBER, "addAliases(input: {artifactID: $artifact, aliases: [{entityName: $orgentity, "
                           "projectName: $registry_name, artifactCollectionName: \"linked\", alias: \"x\"}]}) "
                           "{ success }"),
    "deleteAliases": (MEMBER, "deleteAliases(input: {artifactID: $artifact, aliases: [{entityName: $orgentity, "
                              "projectName: $registry_name, artifactCollectionName: \"linked\", alias: \"latest\"}]}) "
                              "{ success }"),
    "linkArtifact": (MEMBER, "linkArtifact(input: {artifactID: $artifact, entityName: $orgentity, "
                             "projectName: $registry_name, artifactPortfolioName: \"more\"}) { versionIndex }"),
    "unlinkArtifact": (MEMBER, "unlinkArtifact(input: {artifactID: $artifact, artifactPortfolioID: $portfolio}) "
                               "{ success }"),
    "updateArtifactSequence": (MEMBER, "updateArtifactSequence(input: {artifactSequenceID: $sequence, "
                                       "description: \"x\"}) { artifactCollection { id } }"),
    "updateArtifactPortfolio": (MEMBER, "updateArtifactPortfolio(input: {artifactPortfolioID: $portfolio, "
                                        "description: \"x\"}) { artifactCollection { id } }"),
    "moveArtifactSequence": (MEMBER, "moveArtifactSequence(input: {artifactSequenceID: $sequence, "
                                     "destinationArtifactTypeName: \"other\"}) { artifactCollection { id } }"),
    "deleteArtifactSequence": (MEMBER, "deleteArtifactSequence(input: {artifactSequenceID: $sequence}) "
                                       "{ artifactCollection { id } }"),
    "deleteArtifactPortfolio": (MEMBER, "deleteArtifactPortfolio(input: {artifactPortfolioID: $portfolio}) "
                                        "{ artifactCollection { id } }"),
    "createArtifactCollectionTagAssignments": (
        MEMBER, "createArtifactCollectionTagAssignments(input: {entityName: $team, projectName: $project, "
                "artifactCollectionName: \"own\", tags: [{tagName: \"t\"}]}) { tags { id } }"),
    "deleteArtifactCollectionTagAssignments": (
        MEMBER, "deleteArtifactCollectionTagAssignments(input: {entityName: $team, projectName: $project, "
                "artifactCollectionName: \"own\", tags: [{tagName: \"t\"}]}) { success }"),
    "createProjectMembers": (ADMIN, "createProjectMembers(input: {projectId: $registry, userIds: [$user]}) "
                                    "{ success }"),
    "deleteProjectMembers": (ADMIN, "deleteProjectMembers(input: {projectId: $registry, userIds: [$user]}) "
                                    "{ success }"),
    "updateProjectMember": (ADMIN, "updateProjectMember(input: {projectId: $registry, userId: $user, "
                                   "userProjectRole: \"viewer\"}) { success }"),
    "updateProjectTeamMember": (ADMIN, "updateProjectTeamMember(input: {projectId: $registry, teamId: $teamid, "
                                       "teamProjectRole: \"viewer\"}) { success }"),
    "updateProtectedAliases": (ADMIN, "updateProtectedAliases(input: {entityName: $orgentity, "
                                      "projectName: $registry_name, aliases: [\"gold\"]}) { project { id } }"),
    "requestPromotion": (MEMBER, "requestPromotion(input: {entityName: $orgentity, projectName: $registry_name, "
                                 "artifactCollectionName: \"linked\", version: \"v0\", alias: \"x\", reason: \"r\", "
                                 "facts: \"{}\"}) { request { number } }"),
    "decidePromotion": (MEMBER, "decidePromotion(input: {id: $promotion, decision: REJECT, reason: \"r\"}) "
                                "{ request { state } }"),
    "updateApprovalRule": (ADMIN, "updateApprovalRule(input: {entityName: $orgentity, projectName: $registry_name, "
                                  "artifactCollectionName: \"linked\", alias: \"x\", required: true, "
                                  "services: true}) { artifactCollection { id } }"),
    "createInvite": (ADMIN, "createInvite(input: {entityName: $team, username: \"matrixother\"}) { invite { id } }"),
    "deleteInvite": (ADMIN, "deleteInvite(input: {entityName: $team, id: $other}) { success }"),
    "createServiceAccount": (ADMIN, "createServiceAccount(input: {entityName: $team, description: $project}) "
                                    "{ user { id } }"),
    "createCustomChart": (MEMBER, "createCustomChart(input: {entity: $team, name: \"c\", displayName: \"C\", "
                                  "type: \"vega2\", access: \"PRIVATE\", spec: \"{}\"}) { chart { id } }"),
    # These ask what the account is, not what it may do to a thing.
    "createTeam": (ADMIN, "createTeam(input: {teamName: $new}) { entity { id } }"),
    "createUser": (OPERATOR, "createUser(input: {email: $new}) { user { id } }"),
}  # fmt: skip
ABOUT_THE_ASKER = {"createTeam", "createUser"}

# The server's endpoints. 'key': it wants an API key, and the role counts. 'address': a signed address is enough.
# 'session': a browser that is signed in. 'open': tells nothing.
ENDPOINTS = {
    "/graphql": "key",
    "/files/{entity}/{project}/{run}/file_stream": "key",
    "/storage/artifacts/{artifact:int}/wandb_manifest.json": "address",
    "/storage/artifacts/{artifact:int}/{md5}": "address",
    "/storage/parts/{upload}/{number:int}/{md5}": "address",
    "/storage/manifests/{manifest:int}": "address",
    "/storage/runs/{run:int}/{name:path}": "address",
    "/storage/wandb_artifacts/{md5}/{name}": "address",
    "/artifactsV2/{region}/{entity}/{project}/{collection}/{artifact}/{birth}/{md5}/{name}": "key",
    "/activity/{entity}/{project}/{collection}": "key",
    "/oidc/token": "open",
    "/sdk/otel/v1/metrics": "open",
    "/sdk/otel/v1/logs": "open",
    "/healthz": "open",
    "/readyz": "open",
    "/metrics": "key",
    "/": "session",
    "/static/{name:path}": "open",
    "/login": "open",
    "/login/token": "key",
    "/logout": "open",
    "/authorize": "session",
    "/settings": "session",
    "/usage": "session",
    "/theme": "open",
    "/search": "session",
    "/live": "events",
    "/registry/model": "session",
    "/orgs/{org}/registry/{name}": "session",
    "/{entity}/registry/model": "session",
    "/{entity}/{project}/artifacts": "session",
    "/{entity}/{project}/artifacts/{type}": "session",
    "/{entity}/{project}/artifacts/{type}/{collection}": "session",
    "/{entity}/{project}/artifacts/{type}/{collection}/compare": "session",
    "/{entity}/{project}/artifacts/{type}/{collection}/{version}": "session",
    "/{entity}/{project}/artifacts/{type}/{collection}/{version}/files/{path:path}": "session",
    "/{entity}/{project}/artifacts/{type}/{collection}/{version}/raw/{path:path}": "session",
    "/{entity}/{project}/artifacts/{type}/{collection}/{version}/frame/{path:path}": "session",
    "/{entity}/{project}/artifacts/{type}/{collection}/{version}/lineage": "session",
    "/{entity}/{project}/artifacts/{type}/{collection}/{version}/{tab}": "session",
    "/{entity}/{project}": "session",
    "/{entity}/{project}/runs": "session",
    "/{entity}/{project}/executions": "session",
    "/{entity}/{project}/lineage": "session",
    "/{entity}/{project}/compare": "session",
    "/{entity}/{project}/tables": "session",
    "/{entity}/{project}/series": "session",
    "/{entity}/{project}/values": "session",
    "/{entity}/{project}/runs/{run}": "session",
    "/{entity}/{project}/runs/{run}/lineage": "session",
    "/{entity}/{project}/runs/{run}/{tab}": "session",
    "/{entity}/{project}/runs/{run}/files/{path:path}": "session",
    "/{entity}/{project}/runs/{run}/raw/{path:path}": "session",
    "/{entity}/{project}/runs/{run}/frame/{path:path}": "session",
    "/{entity}/{project}/sweeps": "session",
    "/{entity}/{project}/sweeps/{sweep}": "session",
    "/{entity}/{project}/{tab}": "session",
    "/{entity}": "session",
}
