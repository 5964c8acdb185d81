export { buildPolicyBefore, deploymentBefore } from './before.ts';
export {
  buildDeployment,
  type DeploymentConfig,
  SECRET_DIGEST_ANNOTATION,
  secretDigest,
  serverImage,
  wantedReplicas,
} from './deployment.ts';
export { usesEmbeddings } from './embeddings.ts';
export { type BankIdentity, CHILD_KINDS, type Child, type ChildKind, type ClassIdentity } from './model.ts';
export { buildPolicies, type NetworkConfig, type ServerNames } from './network-policy.ts';
export { buildPodDisruptionBudget } from './pod-disruption-budget.ts';
export { canonicalQuantity, exceeds } from './quantity.ts';
export { type BankSecrets, buildSecret } from './secret.ts';
